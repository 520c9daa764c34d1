package org.paddleportage.engine;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;
import static org.paddleportage.TestData.assertFault;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
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
import org.paddleportage.core.Photo;
import org.paddleportage.core.Preprocess;
import org.paddleportage.core.ResultJson;
import org.paddleportage.core.Scores;
import org.paddleportage.core.Verdict;

/** The real library of the desktop's JVM, a real model, real photos. */
public class OnnxRuntimeEngineTest {
    @Rule public final TemporaryFolder folder = new TemporaryFolder();

    private final OnnxRuntimeEngine engine = new OnnxRuntimeEngine();

    private Session open(ModelPackage pack) throws Exception {
        return engine.open(pack, 2, PowerMode.HIGH);
    }

    @Test
    public void realPhotosAreClassifiedAsByTheToolkit() throws Exception {
        ModelPackage pack = TestData.real("onnx");
        Preprocess preprocess = pack.preprocess();
        StringBuilder found = new StringBuilder();
        try (Session session = open(pack)) {
            for (String line : TestData.lines("photos/list.txt")) {
                String[] words = line.split(" ");
                byte[] rgb = TestData.bytes("photos/" + words[0]);
                int[] pixels = new int[rgb.length / 3];
                for (int i = 0; i < pixels.length; i++) {
                    pixels[i] = 0xFF << 24 | (rgb[3 * i] & 0xFF) << 16
                            | (rgb[3 * i + 1] & 0xFF) << 8 | rgb[3 * i + 2] & 0xFF;
                }
                Photo photo = new ArgbPhoto(
                        pixels, Integer.parseInt(words[1]), Integer.parseInt(words[2]));
                for (Guess guess : Scores.top(session.run(preprocess.chw(photo)), 5)) {
                    found.append(guess.index()).append(' ').append(guess.probability()).append(' ');
                }
                found.append('\n');
            }
        }
        TestData.hand("top5.txt", found.toString());
    }

    @Test
    public void theGoldenPhotosPassTheNumericGate() throws Exception {
        ModelPackage pack = TestData.real("onnx");
        try (Session session = open(pack)) {
            GoldenCheck check = GoldenCheck.run(pack, session, (done, total) -> true);
            assertEquals(Verdict.PASS, check.verdict());
            assertTrue(check.drift().images() >= 50);
            Device device = new Device("Desktop JVM", "none", "x86_64", "none", "0.1");
            TestData.hand(
                    "onnx-result.json",
                    ResultJson.write(pack, check, device, engine.version(), 2, "none"));
        }
    }

    @Test
    public void runsDoNotDisturbEachOther() throws Exception {
        ModelPackage pack = TestData.real("onnx");
        float[] first = pack.preprocess().normalize(pack.golden().crop(0));
        float[] second = pack.preprocess().normalize(pack.golden().crop(1));
        try (Session session = open(pack)) {
            float[] before = session.run(first);
            float[] copy = before.clone();
            float[] other = session.run(second);
            assertArrayEquals(copy, before, 0);
            assertTrue(Arrays.compare(before, other) != 0);
            assertArrayEquals(before, session.run(first), 0);
        }
    }

    @Test
    public void theEngineIsUsableAndTellsItsVersion() {
        assertNull(engine.problem());
        assertTrue(engine.version(), engine.version().startsWith("1."));
    }

    @Test
    public void anInputOfAnotherLengthIsRefused() throws Exception {
        try (Session session = open(TestData.real("onnx"))) {
            assertFault(Fault.INPUT_REFUSED, () -> session.run(new float[5]), "5 numbers");
        }
    }

    @Test
    public void aClosedModelSaysSo() throws Exception {
        Session session = open(TestData.real("onnx"));
        session.close();
        session.close();
        assertFault(Fault.CLOSED, () -> session.run(new float[3 * 224 * 224]));
    }

    @Test
    public void aDamagedModelIsAFault() throws Exception {
        Path copy = folder.getRoot().toPath().resolve("package");
        TestData.copy(TestData.data("packages/onnx"), copy);
        ModelPackage pack = ModelPackage.open(copy.toFile());
        Path model = pack.modelFile().toPath();
        Files.write(model, Arrays.copyOf(Files.readAllBytes(model), 1000));
        assertFault(Fault.NOT_OPENED, () -> open(pack), "ONNX Runtime", "model.onnx");
        Files.delete(model);
        assertFault(Fault.NOT_OPENED, () -> open(pack), "model.onnx");
    }

    @Test
    public void anOutputThatDoesNotFitTheClassesIsRefused() throws Exception {
        Path copy = folder.getRoot().toPath().resolve("package");
        TestData.copy(TestData.data("packages/onnx"), copy);
        Path manifest = copy.resolve("manifest.json");
        String text = new String(Files.readAllBytes(manifest), "UTF-8");
        Files.write(manifest, text.replace("\"class_num\": 1000", "\"class_num\": 10").getBytes("UTF-8"));
        ModelPackage pack = ModelPackage.open(copy.toFile());
        try (Session session = open(pack)) {
            assertFault(
                    Fault.OUTPUT_LENGTH,
                    () -> session.run(new float[3 * 224 * 224]), "1000 numbers for 10");
        }
    }

    @Test
    public void theBenchMeasuresAsManyRunsAsAsked() throws Exception {
        ModelPackage pack = TestData.real("onnx");
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
    }

    @Test
    public void theTableFindsTheEngineOfAPackage() throws Exception {
        Engines engines = new Engines("v2.14-rc");
        List<Engine> all = engines.all();
        assertEquals("onnxruntime", engines.of(TestData.real("onnx")).id());
        assertEquals("paddle-lite", engines.of(TestData.real("lite-arm")).id());
        assertEquals("v2.14-rc", all.get(0).version());
        assertEquals(2, all.size());
        Engines none = new Engines(new Engine[0]);
        assertFault(Fault.UNKNOWN_ENGINE, () -> none.of(TestData.real("onnx")), "onnxruntime");
    }
}
