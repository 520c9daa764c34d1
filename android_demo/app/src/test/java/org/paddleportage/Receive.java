package org.paddleportage;

import java.io.File;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.paddleportage.core.ModelPackage;
import org.paddleportage.core.Origin;
import org.paddleportage.core.PortageException;
import org.paddleportage.core.TrustedKeys;

/**
 * What the app makes of packages: {@code Receive LIST}, whose lines are a package's folder and the
 * files of keys, with tabs between them. Prints a line for each: the fault, or else how much is
 * known of who made it, then a tab and the sentence, or the key's fingerprint.
 */
public final class Receive {
    private Receive() {}

    public static void main(String[] words) throws Exception {
        PrintStream out = new PrintStream(System.out, true, "UTF-8");
        for (String line : Files.readAllLines(Path.of(words[0]), StandardCharsets.UTF_8)) {
            String[] parts = line.split("\t");
            Map<String, String> keys = new LinkedHashMap<>();
            for (int i = 1; i < parts.length; i++) {
                keys.put(parts[i], Files.readString(Path.of(parts[i])));
            }
            out.println(received(new File(parts[0]), keys));
        }
    }

    private static String received(File folder, Map<String, String> keys) {
        try {
            ModelPackage pack = ModelPackage.open(folder, TrustedKeys.read(keys));
            List<PortageException> problems = pack.problems();
            if (!problems.isEmpty()) {
                throw problems.get(0);
            }
            Origin origin = pack.origin();
            return origin.kind() + "\t" + origin.keyName();
        } catch (PortageException problem) {
            return problem.fault() + "\t" + problem.getMessage();
        }
    }
}
