package org.paddleportage.core;

import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PublicKey;
import java.security.spec.X509EncodedKeySpec;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * The public keys that were built into the app ({@code make apk KEY=public.pem}), of NIST's curve
 * P-256. Where there is any, packages must be signed with one of them.
 */
public final class TrustedKeys {
    /** No key is inside: nobody can tell who made a package. */
    public static final TrustedKeys NONE = new TrustedKeys(Collections.emptyMap());

    private static final String BEGIN = "-----BEGIN PUBLIC KEY-----";
    private static final String END = "-----END PUBLIC KEY-----";
    private static final int LINE = 64;
    // What every such key begins with (RFC 5480): its kind, its curve, "a point, not compressed".
    private static final int[] HEAD = {
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06,
        0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
    };
    private static final int BYTES = HEAD.length + 64;

    private final Map<String, PublicKey> keys;

    private TrustedKeys(Map<String, PublicKey> keys) {
        this.keys = keys;
    }

    /**
     * Reads keys.
     *
     * @param texts PEM files, by their names
     */
    public static TrustedKeys read(Map<String, String> texts) throws PortageException {
        Map<String, PublicKey> keys = new TreeMap<>();
        for (Map.Entry<String, String> one : texts.entrySet()) {
            String body = body(one.getValue().trim());
            byte[] bytes = body == null ? null : Base64.decode(body);
            if (bytes == null || !isOfTheCurve(bytes)) {
                throw new PortageException(Fault.BAD_KEY, one.getKey());
            }
            try {
                PublicKey key =
                        KeyFactory.getInstance("EC").generatePublic(new X509EncodedKeySpec(bytes));
                keys.put(fingerprint(body), key);
            } catch (GeneralSecurityException noPoint) {
                throw new PortageException(Fault.BAD_KEY, one.getKey());
            }
        }
        return new TrustedKeys(keys);
    }

    private static String body(String pem) {
        boolean framed = pem.startsWith(BEGIN) && pem.endsWith(END);
        return framed
                ? pem.substring(BEGIN.length(), pem.length() - END.length()).replaceAll("\\s", "")
                : null;
    }

    private static boolean isOfTheCurve(byte[] key) {
        boolean same = key.length == BYTES;
        for (int i = 0; same && i < HEAD.length; i++) {
            same = (key[i] & 0xFF) == HEAD[i];
        }
        return same;
    }

    /** The sha256 of the PEM file as OpenSSL writes it: so do the toolkit and signatures name it. */
    private static String fingerprint(String body) {
        StringBuilder pem = new StringBuilder(BEGIN).append('\n');
        for (int at = 0; at < body.length(); at += LINE) {
            pem.append(body, at, Math.min(at + LINE, body.length())).append('\n');
        }
        return Sha256.of(pem.append(END).append('\n').toString().getBytes(StandardCharsets.US_ASCII));
    }

    public boolean isEmpty() {
        return keys.isEmpty();
    }

    /** What they are called, e.g. "1f2e3d4c5b6a", with commas between them. */
    public String names() {
        List<String> names = new ArrayList<>();
        for (String fingerprint : keys.keySet()) {
            names.add(Sha256.shortened(fingerprint));
        }
        return String.join(", ", names);
    }

    /** The key of that fingerprint; null where it is not among them. */
    PublicKey find(String fingerprint) {
        return keys.get(fingerprint);
    }
}
