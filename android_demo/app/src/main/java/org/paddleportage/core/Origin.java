package org.paddleportage.core;

/**
 * Who made a package, as far as this app can tell.
 *
 * @param key the fingerprint of the key that signed it; empty unless it is {@code SIGNED}
 */
public record Origin(Kind kind, String key) {
    /** How much is known. */
    public enum Kind {
        /** It has no signature, and no key is built in. */
        UNSIGNED,
        /** It has one, which nobody checked, since no key is built in. */
        UNCHECKED,
        /** It is signed with a key that is built in, every file of it. */
        SIGNED
    }

    /** What the key is called, as {@code make verify} prints it. */
    public String keyName() {
        return Sha256.shortened(key);
    }
}
