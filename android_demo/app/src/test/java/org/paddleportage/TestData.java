package org.paddleportage;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.List;
import org.paddleportage.core.Fault;
import org.paddleportage.core.ModelPackage;
import org.paddleportage.core.PortageException;
import org.paddleportage.core.TrustedKeys;

/** What the toolkit made for these tests, and where they put what it looks at afterwards. */
public final class TestData {
    private static final Path DATA = Path.of(System.getProperty("portage.data"));

    private static final Path OUT = Path.of(System.getProperty("portage.out"));

    private TestData() {}

    public static Path data(String name) {
        return DATA.resolve(name);
    }

    /** A package that {@code make package} made: "onnx", "opencv" or "lite-arm". */
    public static ModelPackage real(String target) throws PortageException {
        return ModelPackage.open(data("packages/" + target).toFile(), TrustedKeys.NONE);
    }

    /** A package whose manifest says something else in one place. */
    public static ModelPackage changed(ModelPackage pack, String from, String to) throws Exception {
        Path manifest = pack.modelFile().toPath().resolveSibling(ModelPackage.MANIFEST);
        String text = Files.readString(manifest);
        assertTrue(text, text.contains(from));
        Files.writeString(manifest, text.replace(from, to));
        return ModelPackage.open(manifest.getParent().toFile(), TrustedKeys.NONE);
    }

    public static List<String> lines(String name) throws IOException {
        return Files.readAllLines(data(name));
    }

    public static byte[] bytes(String name) throws IOException {
        return Files.readAllBytes(data(name));
    }

    public static float[] floats(String name) throws IOException {
        ByteBuffer buffer = ByteBuffer.wrap(bytes(name)).order(ByteOrder.LITTLE_ENDIAN);
        float[] values = new float[buffer.remaining() / 4];
        buffer.asFloatBuffer().get(values);
        return values;
    }

    /** Gives a text to the toolkit, which compares it with its own. */
    public static void hand(String name, String text) throws IOException {
        Files.createDirectories(OUT);
        Files.write(OUT.resolve(name), text.getBytes(StandardCharsets.UTF_8));
    }

    public static Path write(File folder, String name, byte[] content) throws IOException {
        return Files.write(folder.toPath().resolve(name), content);
    }

    public static void copy(Path from, Path to) throws IOException {
        Files.walkFileTree(from, new SimpleFileVisitor<Path>() {
            @Override
            public FileVisitResult preVisitDirectory(Path folder, BasicFileAttributes facts)
                    throws IOException {
                Files.createDirectories(to.resolve(from.relativize(folder).toString()));
                return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes facts)
                    throws IOException {
                Files.copy(file, to.resolve(from.relativize(file).toString()));
                return FileVisitResult.CONTINUE;
            }
        });
    }

    /** Something that is to fail. */
    public interface Action {
        void run() throws Exception;
    }

    /** It fails with this fault, and its sentence has these words. */
    public static PortageException assertFault(Fault fault, Action action, String... words) {
        PortageException problem = assertFails(action);
        assertEquals(problem.getMessage(), fault, problem.fault());
        for (String word : words) {
            assertTrue(problem.getMessage(), problem.getMessage().contains(word));
        }
        return problem;
    }

    /** It fails with a sentence for the user. */
    public static PortageException assertFails(Action action) {
        try {
            action.run();
        } catch (PortageException problem) {
            return problem;
        } catch (Exception other) {
            throw new AssertionError("another failure than a sentence", other);
        }
        throw new AssertionError("it should have failed");
    }
}
