package org.paddleportage.core;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;
import static org.paddleportage.TestData.assertFault;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.Arrays;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;
import org.paddleportage.TestData;

public class NbHeaderTest {
    @Rule public final TemporaryFolder folder = new TemporaryFolder();

    private static byte[] real() throws Exception {
        return Files.readAllBytes(TestData.real("lite-arm").modelFile().toPath());
    }

    private NbHeader read(byte[] content) throws IOException, PortageException {
        return NbHeader.read(TestData.write(folder.getRoot(), "model.nb", content).toFile());
    }

    @Test
    public void theHeaderOfARealFileIsWhatTheToolkitRead() throws Exception {
        NbHeader header = NbHeader.read(TestData.real("lite-arm").modelFile());
        TestData.hand("nb.txt", header.version() + " " + header.topologyBytes());
        header.requireLibrary(TestData.real("lite-arm").engineVersion());
    }

    @Test
    public void aLibraryOfAnotherVersionIsRefusedWithBothVersions() throws Exception {
        NbHeader header = read(real());
        assertFault(
                Fault.NB_VERSION,
                () -> header.requireLibrary("v2.12"), header.version(), "v2.12");
    }

    @Test
    public void aFileOfAnotherVersionIsRefused() throws Exception {
        byte[] content = real();
        byte[] older = "v2.10\0".getBytes(StandardCharsets.ISO_8859_1);
        String version = read(content).version();
        System.arraycopy(older, 0, content, 2, older.length);
        NbHeader header = read(content);
        assertEquals("v2.10", header.version()); // and none of what stood there before
        assertFault(Fault.NB_VERSION, () -> header.requireLibrary(version), "v2.10", version);
    }

    @Test
    public void aVersionThatFillsTheFieldIsTheBeginningOfALongerOne() throws Exception {
        byte[] content = real();
        System.arraycopy("release-2.14-abc".getBytes(StandardCharsets.ISO_8859_1), 0, content, 2, 16);
        NbHeader header = read(content);
        header.requireLibrary("release-2.14-abcdef");
        assertFault(Fault.NB_VERSION, () -> header.requireLibrary("release-2.14"));
    }

    @Test
    public void aFileCutShortIsRefused() throws Exception {
        byte[] content = real();
        int topology = (int) read(content).topologyBytes();
        read(Arrays.copyOf(content, 26 + topology));
        for (int length : new int[] {25 + topology, 1000, 26}) {
            assertFault(
                    Fault.NB_CUT_SHORT,
                    () -> read(Arrays.copyOf(content, length)), "model.nb", length + " bytes");
        }
        for (int length : new int[] {25, 1, 0}) {
            assertFault(Fault.NOT_NB, () -> read(Arrays.copyOf(content, length)));
        }
    }

    @Test
    public void anImpossibleSizeIsRefused() throws Exception {
        byte[] content = Arrays.copyOf(real(), 100);
        Arrays.fill(content, 18, 26, (byte) 0xFF);
        assertFault(Fault.NB_CUT_SHORT, () -> read(content));
    }

    @Test
    public void aFileOfAnotherKindIsRefused() throws Exception {
        File onnx = TestData.real("onnx").modelFile();
        assertTrue(onnx.isFile());
        assertFault(Fault.NOT_NB, () -> NbHeader.read(onnx), "model.onnx");
        assertFault(Fault.MISSING, () -> NbHeader.read(new File(folder.getRoot(), "none.nb")));
    }
}
