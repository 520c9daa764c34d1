package org.paddleportage.core;

import static org.junit.Assert.assertEquals;
import static org.paddleportage.TestData.assertFault;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.Test;
import org.paddleportage.TestData;

/** The numbers and the verdict of a check are held against the toolkit's own, by the toolkit. */
public class GoldenCheckTest {
    private static final Device DEVICE = new Device("Maker \"Phone\" 5", "SoC 1", "arm64-v8a", "14", "0.1");

    /** A model that computes what was computed beforehand, photo after photo. */
    private static Classifier replay(float[] logits, int classes) {
        int[] next = {0};
        return chw -> Arrays.copyOfRange(logits, next[0], next[0] += classes);
    }

    @Test
    public void everyCaseIsWhatTheToolkitSays() throws Exception {
        List<String> names = TestData.lines("drift/cases.txt");
        assertEquals(8, names.size());
        for (String name : names) {
            ModelPackage pack = ModelPackage.open(TestData.data("drift/" + name).toFile(), TrustedKeys.NONE);
            float[] measured = TestData.floats("drift/" + name + ".measured");
            GoldenCheck check = GoldenCheck.run(
                    pack, replay(measured, pack.classes()), (done, total) -> true);
            TestData.hand(name + ".json", ResultJson.write(pack, check, DEVICE, "v2.14-rc", 4, "high"));
        }
    }

    @Test
    public void theModelSeesTheNormalizedGoldenPhotosInOrder() throws Exception {
        ModelPackage pack = TestData.real("onnx");
        Golden golden = pack.golden();
        List<float[]> seen = new ArrayList<>();
        List<Integer> steps = new ArrayList<>();
        GoldenCheck check = GoldenCheck.run(
                pack,
                chw -> {
                    seen.add(chw);
                    return golden.logits(seen.size() - 1);
                },
                (done, total) -> steps.add(done));
        assertEquals(golden.count(), seen.size());
        assertEquals(golden.count(), steps.size());
        assertEquals(golden.count(), check.drift().agreed());
        assertEquals(golden.count(), check.latency().runs());
        assertEquals(Verdict.PASS, check.verdict());
        float[] last = pack.preprocess().normalize(golden.crop(golden.count() - 1));
        assertEquals(0, Arrays.compare(last, seen.get(seen.size() - 1)));
    }

    @Test
    public void aCheckCanBeStopped() throws Exception {
        ModelPackage pack = TestData.real("onnx");
        int[] runs = {0};
        assertFault(Fault.STOPPED, () -> GoldenCheck.run(
                pack,
                chw -> {
                    runs[0]++;
                    return new float[1000];
                },
                (done, total) -> done < 2));
        assertEquals(2, runs[0]);
    }

    @Test
    public void whatAModelFailsWithIsPassedOn() throws Exception {
        ModelPackage pack = TestData.real("onnx");
        assertFault(Fault.RUN_FAILED, () -> GoldenCheck.run(
                pack,
                chw -> {
                    throw new PortageException(Fault.RUN_FAILED, "It", "why");
                },
                (done, total) -> true), "why");
    }
}
