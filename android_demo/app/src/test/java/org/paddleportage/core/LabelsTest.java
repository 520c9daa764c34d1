package org.paddleportage.core;

import static org.junit.Assert.assertEquals;
import static org.paddleportage.TestData.assertFault;

import java.io.File;
import java.nio.charset.StandardCharsets;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;
import org.paddleportage.TestData;

public class LabelsTest {
    @Rule public final TemporaryFolder folder = new TemporaryFolder();

    private Labels labels(String text, int classes) throws Exception {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        return Labels.read(TestData.write(folder.getRoot(), "labels.txt", bytes).toFile(), classes);
    }

    @Test
    public void aLineIsAName() throws Exception {
        Labels labels = labels("tench, Tinca tinca\n鲤鱼\r\nlast", 3);
        assertEquals(3, labels.size());
        assertEquals("tench, Tinca tinca", labels.name(0));
        assertEquals("鲤鱼", labels.name(1));
        assertEquals("last", labels.name(2));
    }

    @Test
    public void theLastLineMayEndOrNot() throws Exception {
        assertEquals(2, labels("a\nb\n", 2).size());
        assertEquals(2, labels("a\nb", 2).size());
    }

    @Test
    public void anotherCountThanTheModelsIsRefused() {
        assertFault(Fault.LABEL_COUNT, () -> labels("a\nb\n", 3), "2 names for 3 classes");
        assertFault(Fault.LABEL_COUNT, () -> labels("a\nb\n\n", 2));
        assertFault(Fault.LABEL_COUNT, () -> labels("", 1), "0 names");
    }

    @Test
    public void aListThatIsNotThereIsNamed() {
        File absent = new File(folder.getRoot(), "labels.txt");
        assertFault(Fault.MISSING, () -> Labels.read(absent, 1), "labels.txt");
    }

    @Test
    public void theRealListNamesItsClasses() throws Exception {
        Labels labels = TestData.real("onnx").labels();
        assertEquals(1000, labels.size());
    }
}
