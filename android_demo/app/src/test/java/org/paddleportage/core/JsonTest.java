package org.paddleportage.core;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertThrows;
import static org.paddleportage.TestData.assertFault;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.junit.Test;
import org.paddleportage.TestData;

public class JsonTest {
    @Test
    public void valuesOfEveryKindAreRead() throws Exception {
        Map<?, ?> read = (Map<?, ?>) Json.parse(
                " {\"a\": [1, -2.5e3, true, null, []], \"\\u00e9\\n\": {}, \"big\": 1e300} ", "it");
        assertEquals(Arrays.asList(1L, -2500.0, true, null, Collections.emptyList()), read.get("a"));
        assertEquals(Collections.emptyMap(), read.get("é\n"));
        assertEquals(1e300, read.get("big"));
        assertNull(Json.parse("null", "it"));
        assertEquals(1.0e20, Json.parse("100000000000000000000", "it"));
        assertEquals("\uD83D\uDE00", Json.parse("\"\\ud83d\\ude00\"", "it"));
    }

    @Test
    public void whatIsNotJsonIsRefusedWithItsPlace() {
        String[] wrong = {
            "", "{", "[1,]", "{\"a\":1,}", "{\"a\" 1}", "{a:1}", "'a'", "01", "1.", ".5", "+1", "1e",
            "-", "NaN", "Infinity", "1e999", "tru", "\"", "\"\t\"", "\"\\x\"", "\"\\u12g4\"", "[1] 2",
            "{\"a\":1,\"a\":2}", "[1 2]", "\"\\u١٢٣٤\"",
        };
        for (String text : wrong) {
            assertFault(Fault.NOT_JSON, () -> Json.parse(text, "facts.json"), "facts.json");
        }
        assertFault(Fault.NOT_JSON, () -> Json.parse("[1, x]", "facts.json"), "character 5");
    }

    @Test
    public void depthIsBounded() {
        String deep = String.join("", Collections.nCopies(100_000, "["));
        assertFault(Fault.NOT_JSON, () -> Json.parse(deep, "it"));
    }

    @Test
    public void whatIsWrittenReadsBackTheSame() throws Exception {
        List<?> value = Arrays.asList(
                "a\"b\\c\n\u0001é中\uD83D\uDE00", 1L, -0.1, 1e-7, true, null,
                Collections.singletonMap("k", Arrays.asList()), Collections.emptyMap());
        assertEquals(value, Json.parse(Json.write(value), "it"));
        TestData.hand("json.json", Json.write(value));
    }

    @Test
    public void whatHasNoFormInJsonIsNotWritten() {
        for (Object value : new Object[] {Double.NaN, Double.NEGATIVE_INFINITY, new Object()}) {
            assertThrows(IllegalArgumentException.class, () -> Json.write(value));
        }
    }
}
