package org.paddleportage.core;

import static org.junit.Assert.assertEquals;
import static org.paddleportage.TestData.assertFault;

import java.util.Map;
import org.junit.Test;

public class InsideTest {
    private static final String TEXT = "{\"engines\": {\"OpenCV\": {\"abis\": [\"arm64-v8a\"], "
            + "\"licence\": \"Apache-2.0\", \"sha256\": \"f718\"}}, \"models\": {\"A-onnx\": \"MIT\"}}";

    @Test
    public void whatTheBuildWroteIsRead() throws Exception {
        Inside inside = Inside.parse(TEXT);
        assertEquals(
                Map.of("OpenCV", new Inside.Library("Apache-2.0", "f718")), inside.libraries());
        assertEquals(Map.of("A-onnx", "MIT"), inside.models());
    }

    @Test
    public void whatIsNotThatIsAFault() {
        String damaged = TEXT.replace("licence", "license");
        assertFault(Fault.BAD_FIELD, () -> Inside.parse(damaged), "inside.json", "licence");
        assertFault(Fault.NOT_JSON, () -> Inside.parse(TEXT.substring(5)), "inside.json");
    }
}
