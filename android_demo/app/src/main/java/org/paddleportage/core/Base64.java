package org.paddleportage.core;

import java.io.ByteArrayOutputStream;

/**
 * Base64 (RFC 4648, 4), read strictly: padded, without white space, and one text only for each
 * content. java.util.Base64 came with Android 8; Android's own passes over what it does not know.
 */
final class Base64 {
    private static final String ALPHABET =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    private Base64() {}

    /** The bytes that a text stands for; null where it is no such text. */
    static byte[] decode(String text) {
        if (text.length() % 4 != 0) {
            return null;
        }
        int padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
        ByteArrayOutputStream bytes = new ByteArrayOutputStream(text.length() / 4 * 3);
        int bits = 0;
        int held = 0;
        for (int i = 0; i < text.length() - padding; i++) {
            int value = ALPHABET.indexOf(text.charAt(i));
            if (value < 0) {
                return null;
            }
            bits = bits << 6 | value;
            held += 6;
            if (held >= 8) {
                held -= 8;
                bytes.write(bits >> held);
                bits &= (1 << held) - 1;
            }
        }
        // What is left over belongs to no byte: other bits would be another text for the same.
        return held == 2 * padding && bits == 0 ? bytes.toByteArray() : null;
    }
}
