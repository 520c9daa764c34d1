package org.paddleportage.engine;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.Test;
import org.paddleportage.TestData;
import org.paddleportage.core.GoldenCheck;
import org.paddleportage.core.ModelPackage;
import org.paddleportage.core.Verdict;
import org.paddleportage.core.TrustedKeys;

/** What only OpenCV's wrapper does; the rest is in {@link OnnxEnginesTest}. */
public class OpenCvEngineTest {
    private static final long MEGABYTE = 1 << 20;

    private final OpenCvEngine engine = new OpenCvEngine();

    @Test
    public void everyPackageComputesWhatTheToolkitComputed() throws Exception {
        File[] folders = TestData.data("families").toFile().listFiles();
        Arrays.sort(folders);
        StringBuilder found = new StringBuilder();
        for (File folder : folders) {
            ModelPackage pack = ModelPackage.open(folder, TrustedKeys.NONE);
            try (Session session = engine.open(pack, 2, PowerMode.HIGH)) {
                GoldenCheck check = GoldenCheck.run(pack, session, (done, total) -> true);
                assertEquals(pack.name(), Verdict.PASS, check.verdict());
                assertEquals(pack.name(), check.drift().images(), check.drift().agreed());
                assertTrue(pack.name() + check.drift().maxRel(), check.drift().maxRel() <= 1e-4);
                found.append(pack.name()).append(' ').append(check.drift().images());
                found.append(' ').append(check.drift().maxRel());
                found.append(' ').append(check.latency().medianMs()).append('\n');
            }
        }
        TestData.hand("families.txt", found.toString());
    }

    /** This process's memory that is in use, in bytes, without what the collector can give back. */
    private static long resident() throws Exception {
        System.gc();
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith("VmRSS:")) {
                return 1024 * Long.parseLong(line.replaceAll("\\D", ""));
            }
        }
        throw new AssertionError("no line VmRSS");
    }

    @Test
    public void aThousandRunsLeaveNoMemoryBehind() throws Exception {
        ModelPackage pack = ModelPackage.open(TestData.data("tiny").toFile(), TrustedKeys.NONE);
        float[] chw = pack.preprocess().normalize(pack.golden().crop(0));
        try (Session session = engine.open(pack, 2, PowerMode.HIGH)) {
            float[] first = session.run(chw);
            for (int i = 0; i < 100; i++) {
                session.run(chw);
            }
            long before = resident();
            for (int i = 0; i < 1000; i++) {
                session.run(chw);
            }
            long grown = resident() - before;
            // An input left behind by each run would be 49 MB, an output 16 MB.
            assertTrue(grown + " bytes", grown < 8 * MEGABYTE);
            assertArrayEquals(first, session.run(chw), 0);
        }
    }

    @Test
    public void fiftyOpeningsLeaveNoMemoryBehind() throws Exception {
        ModelPackage pack = TestData.real("opencv");
        for (int i = 0; i < 5; i++) {
            engine.open(pack, 2, PowerMode.HIGH).close();
        }
        long before = resident();
        for (int i = 0; i < 50; i++) {
            engine.open(pack, 2, PowerMode.HIGH).close();
        }
        long grown = resident() - before;
        // The weights of one model are 5 MB.
        assertTrue(grown + " bytes", grown < 30 * MEGABYTE);
    }

    @Test
    public void theNumberOfThreadsIsTheSessionsOwn() throws Exception {
        ModelPackage pack = ModelPackage.open(TestData.data("tiny").toFile(), TrustedKeys.NONE);
        float[] chw = pack.preprocess().normalize(pack.golden().crop(0));
        try (Session one = engine.open(pack, 1, PowerMode.HIGH);
                Session two = engine.open(pack, 2, PowerMode.HIGH)) {
            two.run(chw);
            assertEquals(2, org.opencv.core.Core.getNumThreads());
            one.run(chw);
            assertEquals(1, org.opencv.core.Core.getNumThreads());
        }
    }

    @Test
    public void onlyTheCauseOfAnErrorIsSaid() {
        String message = "OpenCV(4.12.0) /build/dnn/src/onnx_importer.cpp:1040: error: (-2:Unspecified"
                + " error) in function 'handleNode'\n> Node [Conv@ai.onnx]:(conv1) parse error: "
                + "OpenCV(4.12.0) /build/utils.cpp:67: error: (-215:Assertion failed) kernel > 0 in "
                + "function 'getKernelSize'\n> ";
        assertEquals("Assertion failed: kernel > 0", OpenCvSession.reason(new Exception(message)));
        assertEquals("null", OpenCvSession.reason(new Exception()));
    }
}
