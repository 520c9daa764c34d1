package org.paddleportage.engine;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertTrue;

import java.io.File;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.net.URL;
import java.net.URLClassLoader;
import org.junit.Test;
import org.paddleportage.TestData;

/** The app's own classes in a class loader that lacks the libraries, as in an APK without them. */
public class AbsentLibraryTest {
    private static URL place(Class<?> of) {
        return of.getProtectionDomain().getCodeSource().getLocation();
    }

    private static ClassLoader loader(URL... places) {
        return new URLClassLoader(places, ClassLoader.getPlatformClassLoader());
    }

    private static Object engine(ClassLoader loader, String name) throws Exception {
        Class<?> engine = loader.loadClass("org.paddleportage.engine." + name);
        return name.startsWith("Paddle")
                ? engine.getConstructor(String.class).newInstance((String) null)
                : engine.getConstructor().newInstance();
    }

    private static Throwable openingFails(ClassLoader loader, Object engine, String target)
            throws Exception {
        Class<?> pack = loader.loadClass("org.paddleportage.core.ModelPackage");
        Class<?> mode = loader.loadClass("org.paddleportage.engine.PowerMode");
        File folder = TestData.data("packages/" + target).toFile();
        Class<?> keys = loader.loadClass("org.paddleportage.core.TrustedKeys");
        Object none = keys.getField("NONE").get(null);
        Object opened = pack.getMethod("open", File.class, keys).invoke(null, folder, none);
        Method open = engine.getClass().getMethod("open", pack, int.class, mode);
        try {
            open.invoke(engine, opened, 1, mode.getEnumConstants()[0]);
        } catch (InvocationTargetException failed) {
            return failed.getCause();
        }
        throw new AssertionError("it opened without a library");
    }

    @Test
    public void eachEngineSaysThatItsLibraryIsNotInside() throws Exception {
        ClassLoader loader = loader(place(Engine.class));
        String[][] rows = {
            {"OpenCvEngine", "opencv", "OpenCV's library is not inside this app"},
            {"PaddleLiteEngine", "lite-arm", "Paddle Lite's library is not inside this app"},
            {"OnnxRuntimeEngine", "onnx", "ONNX Runtime's library is not inside this app"},
        };
        for (String[] row : rows) {
            Object engine = engine(loader, row[0]);
            Exception problem = (Exception) engine.getClass().getMethod("problem").invoke(engine);
            assertNotNull(row[0], problem);
            assertTrue(problem.getMessage(), problem.getMessage().startsWith(row[2]));
            assertEquals(null, engine.getClass().getMethod("version").invoke(engine));
            Throwable failure = openingFails(loader, engine, row[1]);
            assertEquals(problem.getMessage(), failure.getMessage());
        }
    }

    @Test
    public void theTableOfEnginesLoadsWithoutAnyLibrary() throws Exception {
        Class<?> engines = loader(place(Engine.class)).loadClass("org.paddleportage.engine.Engines");
        Object table = engines.getConstructor(String.class).newInstance((String) null);
        assertEquals(3, ((java.util.List<?>) engines.getMethod("all").invoke(table)).size());
    }

    @Test
    public void aLibraryForAnotherProcessorSaysSoEveryTime() throws Exception {
        System.setProperty("fake.unloadable", "true");
        try {
            ClassLoader loader = loader(place(Engine.class), place(AbsentLibraryTest.class));
            Object engine = engine(loader, "PaddleLiteEngine");
            for (int i = 0; i < 2; i++) {
                Throwable failure = openingFails(loader, engine, "lite-arm");
                assertTrue(failure.getMessage(), failure.getMessage().contains("another processor"));
                assertTrue(failure.getMessage(), failure.getMessage().contains("cannot be loaded"));
            }
        } finally {
            System.clearProperty("fake.unloadable");
        }
    }
}
