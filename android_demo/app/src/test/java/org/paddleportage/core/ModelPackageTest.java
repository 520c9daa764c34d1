package org.paddleportage.core;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertTrue;
import static org.paddleportage.TestData.assertFault;

import java.io.File;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.junit.Before;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;
import org.paddleportage.TestData;

public class ModelPackageTest {
    @Rule public final TemporaryFolder folder = new TemporaryFolder();

    private Path copy;

    @Before
    public void copyOfARealPackage() throws Exception {
        copy = folder.getRoot().toPath().resolve("package");
        TestData.copy(TestData.data("packages/onnx"), copy);
    }

    private ModelPackage open() throws PortageException {
        return ModelPackage.open(copy.toFile(), TrustedKeys.NONE);
    }

    private PortageException onlyProblem() throws PortageException {
        List<PortageException> problems = open().problems();
        assertEquals(problems.toString(), 1, problems.size());
        return problems.get(0);
    }

    private void replace(String name, String old, String replacement) throws Exception {
        String text = new String(Files.readAllBytes(copy.resolve(name)), StandardCharsets.UTF_8);
        assertTrue(text, text.contains(old));
        Files.write(copy.resolve(name), text.replace(old, replacement).getBytes(StandardCharsets.UTF_8));
    }

    @Test
    public void aRealPackageIsWholeAndSaysWhatItIs() throws Exception {
        ModelPackage pack = open();
        assertEquals(Collections.emptyList(), pack.problems());
        assertEquals("SqueezeNet1_1", pack.model());
        assertEquals("SqueezeNet1_1", pack.name());
        assertEquals("onnx", pack.target());
        assertEquals("fp32", pack.precision());
        assertEquals("onnxruntime", pack.engine());
        assertEquals(1000, pack.classes());
        assertEquals(224, pack.side());
        assertTrue(pack.numericGate());
        assertEquals("model.onnx", pack.modelFile().getName());
        assertEquals(pack.modelFile().length(), pack.modelBytes());
        assertEquals(224, pack.preprocess().side());
        assertTrue(pack.fileNames().contains("golden/crops.bin"));
        assertFalse(pack.fileNames().contains("manifest.json"));
        assertEquals(64, pack.photosSha256().length());
    }

    @Test
    public void bothEnginesPackagesHaveTheSameGoldenPhotos() throws Exception {
        ModelPackage lite = TestData.real("lite-arm");
        assertEquals("paddle-lite", lite.engine());
        assertEquals("model.nb", lite.modelFile().getName());
        assertEquals(lite.photosSha256(), open().photosSha256());
        Golden golden = lite.golden();
        assertTrue(golden.count() >= 50);
        assertEquals(3 * 224 * 224, golden.crop(golden.count() - 1).length);
        assertEquals(1000, golden.logits(golden.count() - 1).length);
    }

    @Test
    public void aFlippedBitIsFound() throws Exception {
        Path model = copy.resolve("model.onnx");
        byte[] content = Files.readAllBytes(model);
        content[content.length / 2] ^= 1;
        Files.write(model, content);
        PortageException problem = onlyProblem();
        assertEquals(Fault.WRONG_SHA256, problem.fault());
        assertTrue(problem.getMessage(), problem.getMessage().startsWith("model.onnx is damaged"));
    }

    @Test
    public void aFileCutShortIsFound() throws Exception {
        byte[] content = Files.readAllBytes(copy.resolve("golden/logits.bin"));
        Files.write(copy.resolve("golden/logits.bin"), Arrays.copyOf(content, content.length - 4));
        assertEquals(Fault.WRONG_SIZE, onlyProblem().fault());
        assertFault(Fault.WRONG_SIZE, () -> open().golden(), "logits.bin");
    }

    @Test
    public void everyMissingFileIsNamed() throws Exception {
        Files.delete(copy.resolve("labels.txt"));
        Files.delete(copy.resolve("golden/crops.bin"));
        List<PortageException> problems = open().problems();
        assertEquals(2, problems.size());
        for (PortageException problem : problems) {
            assertEquals(Fault.MISSING, problem.fault());
        }
        assertFault(Fault.MISSING, () -> open().labels(), "labels.txt");
        assertFault(Fault.MISSING, () -> open().golden(), "crops.bin");
    }

    @Test
    public void aFolderWithoutAManifestIsNoPackage() {
        assertFault(Fault.MISSING, () -> ModelPackage.open(folder.getRoot(), TrustedKeys.NONE), "manifest.json");
        assertFault(Fault.MISSING, () -> ModelPackage.open(new File("/no/such/folder"), TrustedKeys.NONE));
    }

    @Test
    public void anotherFormIsSaidToBe() throws Exception {
        replace("manifest.json", "\"schema\": 2", "\"schema\": 3");
        assertFault(Fault.OTHER_SCHEMA, this::open, "form 3", "form 2");
    }

    @Test
    public void aManifestThatIsWrongNamesTheField() throws Exception {
        String[][] damages = {
            {"\"gate\": \"numeric\"", "\"gate\": \"lenient\"", "gate"},
            {"\"class_num\": 1000", "\"class_num\": 0", "class_num"},
            {"\"class_num\": 1000", "\"class_num\": \"1000\"", "class_num"},
            {"\"engine\":", "\"motor\":", "engine"},
            {"model.onnx", "network.onnx", "files"},
        };
        byte[] good = Files.readAllBytes(copy.resolve("manifest.json"));
        for (String[] damage : damages) {
            replace("manifest.json", damage[0], damage[1]);
            assertFault(Fault.BAD_FIELD, this::open, "“" + damage[2] + "”");
            Files.write(copy.resolve("manifest.json"), good);
        }
        replace("manifest.json", "{", "");
        assertFault(Fault.NOT_JSON, this::open, "manifest.json");
    }

    @Test
    public void noNameLeadsOutOfTheFolder() throws Exception {
        byte[] good = Files.readAllBytes(copy.resolve("manifest.json"));
        for (String name : new String[] {"../labels.txt", "/labels.txt", "a//b", "a/../../b", "./a", "C:a", "model.sig"}) {
            replace("manifest.json", "labels.txt", name);
            assertFault(Fault.UNSAFE_NAME, this::open, name);
            Files.write(copy.resolve("manifest.json"), good);
        }
    }

    @Test
    public void aFileThatIsNotListedIsFoundButForWhatTheAppItselfLeaves() throws Exception {
        Files.createFile(copy.resolve("model.onnx" + ModelPackage.OPENING));
        assertEquals(Collections.emptyList(), open().problems());
        Files.createFile(copy.resolve("golden/more.bin"));
        PortageException problem = onlyProblem();
        assertEquals(Fault.UNLISTED, problem.fault());
        assertTrue(problem.getMessage(), problem.getMessage().startsWith("golden/more.bin is in"));
    }

    @Test
    public void partsThatDoNotFitTogetherAreFound() throws Exception {
        replace("preprocess.json", "\"crop\": 224", "\"crop\": 192");
        assertFault(Fault.BAD_FIELD, () -> open().preprocess(), "“crop”");
        replace("golden/golden.json", "\"count\": ", "\"count\": 1");
        assertFault(Fault.BAD_FIELD, () -> open().golden(), "“shape”");
    }
}
