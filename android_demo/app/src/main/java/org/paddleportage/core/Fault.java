package org.paddleportage.core;

/**
 * Everything that can go wrong and that the user is told: one sentence each, in English.
 *
 * <p>The app shows the string resource {@code fault_name}, which has the same numbered places in
 * every language; these sentences are for results and for whoever has no resources.
 */
public enum Fault {
    UNREADABLE("%1$s cannot be read: %2$s."),
    MISSING("%1$s is missing from the package; copy the whole package again."),
    WRONG_SIZE("%1$s is damaged: it has %2$s bytes where the manifest says %3$s; copy the package again."),
    WRONG_SHA256("%1$s is damaged: its sha256 begins with %2$s where the manifest says %3$s; copy the package again."),
    NOT_JSON("%1$s is not JSON: it goes wrong at character %2$s."),
    BAD_FIELD("%1$s is not what this app reads: “%2$s” is missing or wrong."),
    OTHER_SCHEMA("%1$s is of form %2$s, and this app reads form %3$s; update the app, or make the package again."),
    UNSAFE_NAME("%1$s names a file outside of its folder: %2$s."),
    UNLISTED("%1$s is in the package, and its manifest does not list it; copy the whole package again."),
    IS_LINK("%1$s is a link; a package has none."),
    NOT_SIGNED("The package is not signed (it has no %1$s), and this app opens only those that are signed with a key that it knows (%2$s)."),
    UNKNOWN_KEY("The package is signed with the key %1$s, which this app does not know (it knows %2$s)."),
    BAD_SIGNATURE("%1$s is not the signature of the key %2$s, or it is damaged; take the package from where it was signed."),
    CHANGED_AFTER_SIGNING("The package was changed after it was signed: %1$s."),
    BAD_KEY("The key %1$s inside this app is no public key of the curve P-256; build the app again."),
    LABEL_COUNT("%1$s has %2$s names for %3$s classes."),
    UNKNOWN_RESIZE("This app cannot resize photos as %1$s does with %2$s interpolation."),
    TOO_NARROW("This photo is too narrow a strip: %1$s × %2$s pixels."),
    NOT_NB("%1$s is not a Paddle Lite model (.nb)."),
    NB_CUT_SHORT("%1$s is cut short: it has %2$s bytes, and its topology alone ends at %3$s."),
    NB_VERSION("The model was made by Paddle Lite %1$s, and this app has Paddle Lite %2$s: both must be the same; make the package with %2$s, or build the app with %1$s."),
    UNKNOWN_ENGINE("This app has no engine “%1$s”; update the app."),
    NO_LIBRARY("%1$s's library is not inside this app; build the app with it, as its documentation says."),
    LIBRARY_NOT_LOADED("%1$s's library cannot be loaded on this processor (%2$s): %3$s."),
    ENDED_THE_APP("%1$s ended the app when it last opened %2$s (made by version %3$s, for a library “with extra” of the same version); open it again to try once more."),
    NOT_OPENED("%1$s cannot open %2$s: %3$s."),
    INPUT_SIZE("%1$s takes photos of %2$s pixels a side, and its package makes them of %3$s; make the package again."),
    INPUT_REFUSED("%1$s refuses an input of %2$s numbers."),
    RUN_FAILED("%1$s failed while it ran the model: %2$s."),
    OUTPUT_LENGTH("%1$s gave %2$s numbers for %3$s classes."),
    NON_FINITE("The model computed %1$s numbers that are infinite or none at all."),
    CLOSED("The model is closed."),
    STOPPED("Stopped.");

    private final String sentence;

    Fault(String sentence) {
        this.sentence = sentence;
    }

    /** The English sentence, with places like {@code %1$s} for the details. */
    public String sentence() {
        return sentence;
    }
}
