package org.paddleportage.engine;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;
import static org.paddleportage.TestData.assertFails;
import static org.paddleportage.TestData.assertFault;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;
import org.paddleportage.TestData;
import org.paddleportage.core.ArgbPhoto;
import org.paddleportage.core.BenchRow;
import org.paddleportage.core.Device;
import org.paddleportage.core.Fault;
import org.paddleportage.core.GoldenCheck;
import org.paddleportage.core.Guess;
import org.paddleportage.core.ModelPackage;
import org.paddleportage.core.PortageException;
import org.paddleportage.core.Preprocess;
import org.paddleportage.core.ResultJson;
import org.paddleportage.core.Scores;
import org.paddleportage.core.Verdict;
import org.paddleportage.core.TrustedKeys;

/** Both engines that read ONNX files: their real desktop libraries, a real model, real photos. */
public class OnnxEnginesTest {
    @Rule public final TemporaryFolder folder = new TemporaryFolder();

    private interface Trial {
        void of(Engine engine, ModelPackage pack) throws Exception;
    }

    private static void each(Trial trial) throws Exception {
        trial.of(new OnnxRuntimeEngine(), TestData.real("onnx"));
        trial.of(new OpenCvEngine(), TestData.real("opencv"));
    }

    private static Session open(Engine engine, ModelPackage pack) throws PortageException {
        return engine.open(pack, 2, PowerMode.HIGH);
    }

    /** The same package in a folder of the test's own. */
    private ModelPackage copy(ModelPackage pack) throws Exception {
        Path copy = folder.newFolder().toPath();
        TestData.copy(TestData.data("packages/" + pack.target()), copy);
        return ModelPackage.open(copy.toFile(), TrustedKeys.NONE);
    }

    @Test
    public void realPhotosAreClassifiedAsByTheToolkit() throws Exception {
        each((engine, pack) -> {
            Preprocess preprocess = pack.preprocess();
            StringBuilder found = new StringBuilder();
            try (Session session = open(engine, pack)) {
                for (String line : TestData.lines("photos/list.txt")) {
                    float[] logits = session.run(preprocess.chw(ArgbPhoto.read("photos/", line)));
                    for (Guess guess : Scores.top(logits, 5)) {
                        found.append(guess.index()).append(' ');
                        found.append(guess.probability()).append(' ');
                    }
                    found.append('\n');
                }
            }
            TestData.hand(pack.target() + "-top5.txt", found.toString());
        });
    }

    @Test
    public void theGoldenPhotosPassTheNumericGate() throws Exception {
        each((engine, pack) -> {
            try (Session session = open(engine, pack)) {
                GoldenCheck check = GoldenCheck.run(pack, session, (done, total) -> true);
                assertEquals(Verdict.PASS, check.verdict());
                assertTrue(check.drift().images() >= 50);
                Device device = new Device("Desktop JVM", "none", "x86_64", "none", "0.1");
                TestData.hand(
                        pack.target() + "-result.json",
                        ResultJson.write(pack, check, device, engine.version(), 2, "none"));
            }
        });
    }

    @Test
    public void runsDoNotDisturbEachOther() throws Exception {
        each((engine, pack) -> {
            float[] first = pack.preprocess().normalize(pack.golden().crop(0));
            float[] second = pack.preprocess().normalize(pack.golden().crop(1));
            try (Session session = open(engine, pack)) {
                float[] before = session.run(first);
                float[] copy = before.clone();
                float[] other = session.run(second);
                assertArrayEquals(copy, before, 0);
                assertTrue(Arrays.compare(before, other) != 0);
                assertArrayEquals(before, session.run(first), 0);
            }
        });
    }

    @Test
    public void theEnginesAreUsableAndTellTheirVersions() throws Exception {
        each((engine, pack) -> {
            assertNull(engine.problem());
            assertTrue(engine.version(), engine.version().matches("\\d+\\.\\d+\\.\\d+"));
        });
    }

    @Test
    public void anInputOfAnotherLengthIsRefused() throws Exception {
        each((engine, pack) -> {
            try (Session session = open(engine, pack)) {
                assertFault(Fault.INPUT_REFUSED, () -> session.run(new float[5]), "5 numbers");
            }
        });
    }

    @Test
    public void aClosedModelSaysSo() throws Exception {
        each((engine, pack) -> {
            Session session = open(engine, pack);
            session.close();
            session.close();
            assertFault(Fault.CLOSED, () -> session.run(new float[3 * 224 * 224]));
        });
    }

    @Test
    public void aFileThatIsNoWholeModelIsAFault() throws Exception {
        each((engine, real) -> {
            ModelPackage pack = copy(real);
            Path model = pack.modelFile().toPath();
            byte[] whole = Files.readAllBytes(model);
            for (byte[] content : new byte[][] {
                Arrays.copyOf(whole, 1000), Arrays.copyOf(whole, whole.length - 1), {}, {'t', 'e', 'x', 't'}
            }) {
                Files.write(model, content);
                assertFault(Fault.NOT_OPENED, () -> open(engine, pack), engine.title(), "model.onnx");
            }
            Files.delete(model);
            PortageException absent = assertFails(() -> open(engine, pack));
            assertTrue(absent.getMessage(), absent.getMessage().contains("model.onnx"));
        });
    }

    @Test
    public void anOutputThatDoesNotFitTheClassesIsRefused() throws Exception {
        each((engine, real) -> {
            ModelPackage pack = TestData.changed(copy(real), "\"class_num\": 1000", "\"class_num\": 10");
            try (Session session = open(engine, pack)) {
                assertFault(
                        Fault.OUTPUT_LENGTH,
                        () -> session.run(new float[3 * 224 * 224]), "1000 numbers for 10");
            }
        });
    }

    @Test
    public void aModelForPhotosOfAnotherSizeIsRefused() throws Exception {
        each((engine, real) -> {
            ModelPackage pack = TestData.changed(copy(real), "    224,\n    224", "    256,\n    256");
            assertEquals(256, pack.side());
            PortageException problem = assertFails(() -> {
                try (Session session = open(engine, pack)) {
                    session.run(new float[3 * 256 * 256]);
                }
            });
            assertTrue(problem.getMessage(), problem.getMessage().contains("224"));
            assertTrue(problem.getMessage(), problem.getMessage().contains("256"));
        });
    }

    @Test
    public void theBenchMeasuresAsManyRunsAsAsked() throws Exception {
        each((engine, pack) -> {
            int[] steps = {0};
            BenchRow row = Bench.measure(
                    engine, pack, 1, PowerMode.HIGH, 2, 5, () -> "cool", (done, total) -> {
                        assertEquals(7, total);
                        return ++steps[0] == done;
                    });
            assertEquals(7, steps[0]);
            assertEquals(5, row.latency().runs());
            assertEquals("none", row.powerMode());
            assertEquals("cool", row.note());
            assertTrue(row.latency().medianMs() > 0);
            assertFault(Fault.STOPPED, () -> Bench.measure(
                    engine, pack, 1, PowerMode.HIGH, 1, 5, () -> "", (done, total) -> done < 3));
        });
    }

    @Test
    public void theTableFindsTheEngineOfAPackage() throws Exception {
        Engines engines = new Engines("v2.14-rc");
        assertEquals("onnxruntime", engines.of(TestData.real("onnx")).id());
        assertEquals("opencv", engines.of(TestData.real("opencv")).id());
        Engine lite = engines.of(TestData.real("lite-arm"));
        assertEquals("paddle-lite", lite.id());
        assertEquals("v2.14-rc", lite.version());
        assertEquals(3, engines.all().size());
        Engines none = new Engines(new Engine[0]);
        assertFault(Fault.UNKNOWN_ENGINE, () -> none.of(TestData.real("onnx")), "onnxruntime");
    }
}
