package org.paddleportage.core;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;
import static org.paddleportage.TestData.assertFault;

import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.Test;
import org.paddleportage.TestData;

/** Against crops that the toolkit made at test time, of real photos and of made-up pixels. */
public class PreprocessTest {
    private static final String GOOD = "{\"resize_short\": 256, \"crop\": 224, \"interpolation\": "
            + "\"bilinear\", \"library\": \"opencv\", \"mean\": [0.485, 0.456, 0.406], "
            + "\"std\": [0.229, 0.224, 0.225]}";

    private static Preprocess preprocess(String name) throws Exception {
        String text = new String(TestData.bytes("preprocess/" + name), StandardCharsets.UTF_8);
        return Preprocess.fromJson(text, name);
    }

    @Test
    public void cropsAreTheToolkitsToTheLastBit() throws Exception {
        List<String> cases = TestData.lines("preprocess/cases.txt");
        assertTrue(cases.size() + " cases", cases.size() > 50);
        for (String line : cases) {
            String[] words = line.split(" "); // photo, width, height, settings, crop
            byte[] crop = preprocess(words[3]).crop(ArgbPhoto.read("preprocess/", line));
            assertArrayEquals(line, TestData.bytes("preprocess/" + words[4]), crop);
        }
    }

    @Test
    public void normalizedValuesAreTheToolkitsToTheLastBit() throws Exception {
        Preprocess preprocess = preprocess("ramp.json");
        float[] expected = TestData.floats("preprocess/ramp.chw");
        float[] found = preprocess.normalize(TestData.bytes("preprocess/ramp.crop"));
        assertArrayEquals(expected, found, 0);
    }

    @Test
    public void chwIsBothSteps() throws Exception {
        Preprocess preprocess = Preprocess.fromJson(GOOD, "it");
        int[] pixels = new int[300 * 260];
        for (int i = 0; i < pixels.length; i++) {
            pixels[i] = i * 2654435;
        }
        Photo photo = new ArgbPhoto(pixels, 300, 260);
        float[] chw = preprocess.chw(photo);
        assertEquals(3 * 224 * 224, chw.length);
        assertArrayEquals(preprocess.normalize(preprocess.crop(photo)), chw, 0);
    }

    @Test
    public void aStripTooNarrowToResizeIsAFault() throws Exception {
        Preprocess preprocess = Preprocess.fromJson(GOOD, "it");
        Photo strip = new ArgbPhoto(new int[20_000], 1, 20_000);
        assertFault(Fault.TOO_NARROW, () -> preprocess.crop(strip), "1 × 20000");
    }

    @Test
    public void aCropOfAnotherSizeIsRefused() throws Exception {
        Preprocess preprocess = Preprocess.fromJson(GOOD, "it");
        assertThrows(IllegalArgumentException.class, () -> preprocess.normalize(new byte[3]));
    }

    @Test
    public void whatThisAppCannotDoIsSaid() {
        assertFault(
                Fault.UNKNOWN_RESIZE,
                () -> Preprocess.fromJson(GOOD.replace("bilinear", "bicubic"), "it"),
                "opencv", "bicubic");
        String[][] damages = {
            {"\"crop\": 224", "\"crop\": 257", "crop"},
            {"\"crop\": 224", "\"crop\": 0", "crop"},
            {"\"crop\": 224", "\"crop\": 224.5", "crop"},
            {"0.224, 0.225]", "0.224]", "std"},
            {"0.229", "0", "std"},
            {"0.406", "\"0.406\"", "mean"},
            {"resize_short", "resize_long", "resize_short"},
        };
        for (String[] damage : damages) {
            assertFault(
                    Fault.BAD_FIELD,
                    () -> Preprocess.fromJson(GOOD.replace(damage[0], damage[1]), "preprocess.json"),
                    "preprocess.json", "“" + damage[2] + "”");
        }
    }
}
