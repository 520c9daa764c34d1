package org.paddleportage.core;

import java.io.File;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.PublicKey;
import java.security.Signature;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;

/**
 * A package's signature, as OpenSSF's model-signing writes it: a Sigstore bundle of one DSSE
 * envelope (github.com/secure-systems-lab/dsse, protocol.md), which holds an in-toto statement of
 * every file's sha256; ECDSA on P-256. It is taken in one form only, that of the toolkit
 * (deploy/packages/signature.py), white space and the order of names aside.
 *
 * @param key the fingerprint of the key that signed
 * @param digests the sha256 of every file that it is about, by the file's name
 */
record SignatureFile(String key, Map<String, String> digests) {
    private static final long LARGEST = 4 << 20;
    private static final String BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json";
    private static final String STATEMENT = "application/vnd.in-toto+json";
    private static final String STATEMENT_KIND = "https://in-toto.io/Statement/v1";
    private static final String PREDICATE = "https://model_signing/signature/v1.0";

    /** Reads a signature and checks it; a fault where it is not of one of these keys. */
    static SignatureFile verified(File file, TrustedKeys keys) throws PortageException {
        String name = file.getName();
        if (file.length() > LARGEST) {
            throw new PortageException(Fault.BAD_FIELD, name, "{…}");
        }
        Fields bundle = Fields.parse(WholeFile.text(file), name);
        String hint = bundle.fields("verificationMaterial").fields("publicKey").text("hint");
        Fields envelope = bundle.fields("dsseEnvelope");
        Fields signed = envelope.onlyFields("signatures");
        byte[] payload = envelope.base64("payload");
        byte[] signature = signed.base64("sig");
        Object form = form(hint, envelope.text("payload"), signed.text("sig"));
        if (!bundle.equalsJson(form)) {
            throw new PortageException(Fault.BAD_FIELD, name, "{…}");
        }
        PublicKey key = keys.find(hint);
        if (key == null) {
            String other = Sha256.shortened(hint);
            throw new PortageException(Fault.UNKNOWN_KEY, other, keys.names());
        }
        if (!holds(key, payload, signature)) {
            throw new PortageException(Fault.BAD_SIGNATURE, name, Sha256.shortened(hint));
        }
        return new SignatureFile(hint, digests(payload, name));
    }

    /** The whole file, of the parts that differ. */
    private static Object form(String hint, String payload, String signature) {
        Map<String, Object> material = new LinkedHashMap<>();
        material.put("publicKey", Collections.singletonMap("hint", hint));
        material.put("tlogEntries", Collections.emptyList());
        Map<String, Object> signed = new LinkedHashMap<>();
        signed.put("sig", signature);
        signed.put("keyid", "");
        Map<String, Object> envelope = new LinkedHashMap<>();
        envelope.put("payload", payload);
        envelope.put("payloadType", STATEMENT);
        envelope.put("signatures", Collections.singletonList(signed));
        Map<String, Object> bundle = new LinkedHashMap<>();
        bundle.put("mediaType", BUNDLE);
        bundle.put("verificationMaterial", material);
        bundle.put("dsseEnvelope", envelope);
        return bundle;
    }

    /** Whether a key signed this, in the envelope's encoding (DSSE's PAE). */
    private static boolean holds(PublicKey key, byte[] payload, byte[] signature) {
        String head = "DSSEv1 " + STATEMENT.length() + " " + STATEMENT + " " + payload.length + " ";
        try {
            Signature check = Signature.getInstance("SHA256withECDSA");
            check.initVerify(key);
            check.update(head.getBytes(StandardCharsets.US_ASCII));
            check.update(payload);
            return check.verify(signature);
        } catch (GeneralSecurityException noSignature) {
            return false;
        }
    }

    /** What a statement says of each file. It was signed, but perhaps as something else. */
    private static Map<String, String> digests(byte[] payload, String name)
            throws PortageException {
        Fields statement =
                Fields.parse(new String(payload, StandardCharsets.UTF_8), name + ": payload");
        statement.require("_type", STATEMENT_KIND);
        statement.require("predicateType", PREDICATE);
        Map<String, String> digests = new TreeMap<>();
        for (Fields one : statement.fields("predicate").list("resources")) {
            one.require("algorithm", "sha256");
            if (digests.put(one.text("name"), one.text("digest")) != null) {
                throw one.wrong("name");
            }
        }
        return digests;
    }
}
