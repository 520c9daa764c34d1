package org.paddleportage.core;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What the build wrote down of the parts that it put into the app ({@code inside.json}).
 *
 * @param libraries of the engines, by the name that people call them by
 * @param models under what each package's weights are given away, by the package's name
 */
public record Inside(Map<String, Library> libraries, Map<String, String> models) {
    /**
     * An engine's library.
     *
     * @param sha256 of the archive that it is from
     */
    public record Library(String licence, String sha256) {}

    /** Nothing is known: another build made the app. */
    public static final Inside UNKNOWN = new Inside(Collections.emptyMap(), Collections.emptyMap());

    /** Reads the file's text. */
    public static Inside parse(String text) throws PortageException {
        Fields all = Fields.parse(text, "inside.json");
        Map<String, Library> libraries = new LinkedHashMap<>();
        Fields engines = all.fields("engines");
        for (Object title : all.object("engines").keySet()) {
            Fields engine = engines.fields((String) title);
            libraries.put(
                    (String) title, new Library(engine.text("licence"), engine.text("sha256")));
        }
        Map<String, String> models = new LinkedHashMap<>();
        Fields licences = all.fields("models");
        for (Object name : all.object("models").keySet()) {
            models.put((String) name, licences.text((String) name));
        }
        return new Inside(libraries, models);
    }
}
