package org.paddleportage.engine;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotSame;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;
import static org.paddleportage.TestData.assertFault;

import com.baidu.paddle.lite.FakeLibrary;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.junit.After;
import org.junit.Before;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;
import org.paddleportage.TestData;
import org.paddleportage.core.Fault;
import org.paddleportage.core.ModelPackage;
import org.paddleportage.core.TrustedKeys;

/** The wrapper over a library that notes every call; the model file is a real one. */
public class PaddleLiteEngineTest {
    @Rule public final TemporaryFolder folder = new TemporaryFolder();

    private ModelPackage pack;
    private String version;
    private final PaddleLiteEngine engine = new PaddleLiteEngine(null);

    @Before
    public void aRealPackageAndAFreshLibrary() throws Exception {
        Path copy = folder.getRoot().toPath().resolve("package");
        TestData.copy(TestData.data("packages/lite-arm"), copy);
        pack = ModelPackage.open(copy.toFile(), TrustedKeys.NONE);
        version = pack.engineVersion();
        FakeLibrary.reset(version, 1000);
    }

    @After
    public void nothingIsLeftOpen() {
        assertEquals("open predictors", 0, FakeLibrary.open);
        assertFalse("a note is left", note().exists());
    }

    private java.io.File note() {
        return new java.io.File(pack.modelFile().getPath() + ".opening");
    }

    private Session open() throws Exception {
        return engine.open(pack, 4, PowerMode.HIGH);
    }

    private static float[] input(float value) {
        float[] chw = new float[3 * 224 * 224];
        Arrays.fill(chw, value);
        return chw;
    }

    @Test
    public void theLibraryIsCalledInThisOrder() throws Exception {
        try (Session session = open()) {
            session.run(input(1));
            session.run(input(2));
        }
        List<String> expected = Arrays.asList(
                "setModelFromFile model.nb", "setThreads 4", "setPowerMode LITE_POWER_HIGH", "create",
                "getInput 0", "resize [1, 3, 224, 224]", "getVersion",
                "setData", "run", "getOutput 0", "getFloatData", // one handle for all runs,
                "setData", "run", "getFloatData", // one copy of the output each
                "clear");
        assertEquals(expected, FakeLibrary.CALLS);
    }

    @Test
    public void everyPowerModeIsTheLibrarysOwn() throws Exception {
        for (PowerMode mode : PowerMode.values()) {
            FakeLibrary.reset(version, 1000);
            engine.open(pack, 1, mode).close();
            assertTrue(FakeLibrary.CALLS.contains("setPowerMode LITE_POWER_" + mode));
        }
        assertEquals(com.baidu.paddle.lite.PowerMode.values().length, PowerMode.values().length);
    }

    @Test
    public void aResultIsTheCallersOwn() throws Exception {
        try (Session session = open()) {
            float[] first = session.run(input(1));
            float[] second = session.run(input(2));
            assertNotSame(first, second);
            assertArrayEquals(Arrays.copyOf(input(1), 1000), first, 0);
            assertArrayEquals(Arrays.copyOf(input(2), 1000), second, 0);
        }
    }

    @Test
    public void oneThreadOfItsOwnMakesAllCalls() throws Exception {
        Session session = open();
        Thread[] callers = new Thread[4];
        for (int i = 0; i < callers.length; i++) {
            float value = i;
            callers[i] = new Thread(() -> {
                try {
                    assertEquals(value, session.run(input(value))[0], 0);
                } catch (Exception failed) {
                    throw new AssertionError(failed);
                }
            });
            callers[i].start();
        }
        for (Thread caller : callers) {
            caller.join();
        }
        session.close();
        assertEquals(FakeLibrary.THREADS.toString(), 1, FakeLibrary.THREADS.size());
        assertTrue(FakeLibrary.THREADS.get(0), FakeLibrary.THREADS.get(0).startsWith("Paddle Lite#"));
        assertEquals(4, Collections.frequency(FakeLibrary.CALLS, "run"));
    }

    @Test
    public void anInterruptedCallerStillGetsItsResult() throws Exception {
        try (Session session = open()) {
            Thread.currentThread().interrupt();
            assertEquals(3, session.run(input(3))[0], 0);
            assertTrue(Thread.interrupted());
        }
    }

    @Test
    public void closingTwiceIsClosingOnceAndAClosedModelSaysSo() throws Exception {
        Session session = open();
        session.close();
        session.close();
        assertEquals(1, Collections.frequency(FakeLibrary.CALLS, "clear"));
        assertFault(Fault.CLOSED, () -> session.run(input(1)));
    }

    @Test
    public void aLibraryOfAnotherVersionIsRefusedBeforeItIsAsked() {
        PaddleLiteEngine older = new PaddleLiteEngine("v2.12");
        assertFault(Fault.NB_VERSION, () -> older.open(pack, 1, PowerMode.LOW), version, "v2.12");
        assertEquals(Collections.emptyList(), FakeLibrary.CALLS);
    }

    @Test
    public void aLibraryThatTurnsOutToBeAnotherIsRefusedAndThenKnown() {
        FakeLibrary.reset("v2.13-rc", 1000);
        assertNull(engine.version());
        assertFault(Fault.NB_VERSION, this::open, version, "v2.13-rc");
        assertEquals("clear", FakeLibrary.CALLS.get(FakeLibrary.CALLS.size() - 1));
        assertEquals("v2.13-rc", engine.version());
        FakeLibrary.CALLS.clear();
        assertFault(Fault.NB_VERSION, this::open, version, "v2.13-rc");
        assertEquals(Collections.emptyList(), FakeLibrary.CALLS);
    }

    @Test
    public void aLibraryThatTellsNoVersionIsTrusted() throws Exception {
        FakeLibrary.reset("", 1000);
        open().close();
        assertNull(engine.version());
    }

    @Test
    public void aDamagedFileNeverReachesTheLibrary() throws Exception {
        byte[] content = Files.readAllBytes(pack.modelFile().toPath());
        Files.write(pack.modelFile().toPath(), Arrays.copyOf(content, 1000));
        assertFault(Fault.NB_CUT_SHORT, this::open);
        Files.delete(pack.modelFile().toPath());
        assertFault(Fault.MISSING, this::open);
        assertEquals(Collections.emptyList(), FakeLibrary.CALLS);
    }

    @Test
    public void aModelThatDoesNotOpenIsSaidNotTo() {
        FakeLibrary.opens = false;
        assertFault(Fault.NOT_OPENED, this::open, "Paddle Lite", "model.nb");
    }

    @Test
    public void aModelWithoutAFittingInputIsRefused() {
        FakeLibrary.hasInput = false;
        assertFault(Fault.NOT_OPENED, this::open, "224");
        FakeLibrary.reset(version, 1000);
        FakeLibrary.resizes = false;
        assertFault(Fault.NOT_OPENED, this::open, "224");
        assertTrue(FakeLibrary.CALLS.contains("clear"));
    }

    @Test
    public void anInputOfAnotherLengthIsRefused() throws Exception {
        try (Session session = open()) {
            assertFault(Fault.INPUT_REFUSED, () -> session.run(new float[5]), "5 numbers");
            assertFalse(FakeLibrary.CALLS.contains("run"));
            assertEquals(1, session.run(input(1))[0], 0); // and the next photo is fine
        }
    }

    @Test
    public void aRunThatFailsIsSaidTo() throws Exception {
        try (Session session = open()) {
            FakeLibrary.runs = false;
            assertFault(Fault.RUN_FAILED, () -> session.run(input(1)));
        }
    }

    @Test
    public void anOutputThatDoesNotFitTheClassesIsRefused() throws Exception {
        FakeLibrary.outputs = 7;
        try (Session session = open()) {
            assertFault(Fault.OUTPUT_LENGTH, () -> session.run(input(1)), "7 numbers for 1000");
        }
        FakeLibrary.reset(version, 1000);
        FakeLibrary.hasOutput = false;
        try (Session session = open()) {
            assertFault(Fault.OUTPUT_LENGTH, () -> session.run(input(1)), "0 numbers for 1000");
        }
    }

    @Test
    public void aLibraryThatLacksAFunctionIsAFaultNotACrash() {
        FakeLibrary.lacksVersion = true;
        assertFault(Fault.LIBRARY_NOT_LOADED, this::open, "Paddle Lite", "getVersion");
    }

    @Test
    public void aLibraryThatEndedTheAppIsNamedOnceAndMayThenBeTriedAgain() throws Exception {
        // What the process left behind when it was ended in the middle of opening.
        assertTrue(note().createNewFile());
        assertFault(Fault.ENDED_THE_APP, this::open, "Paddle Lite", "model.nb", version);
        assertEquals(Collections.emptyList(), FakeLibrary.CALLS);
        open().close();
    }

    @Test
    public void theNoteIsThereOnlyWhileTheLibraryMayEndTheApp() throws Exception {
        FakeLibrary.watched = note();
        try (Session session = open()) {
            assertTrue(FakeLibrary.WATCHED.containsAll(Arrays.asList("create", "getVersion")));
            assertFalse("Android may end an idle app", note().exists());
            FakeLibrary.WATCHED.clear();
            session.run(input(1));
            session.run(input(2));
            assertEquals(Collections.singletonList("run"), FakeLibrary.WATCHED);
        }
    }
}
