import java.io.File;
import java.io.FileInputStream;
import java.util.HashSet;
import java.util.List;
import org.codehaus.mojo.animal_sniffer.ClassListBuilder;
import org.codehaus.mojo.animal_sniffer.SignatureChecker;
import org.codehaus.mojo.animal_sniffer.logging.PrintWriterLogger;

/**
 * Ends with status 1, a line each, if classes use what the oldest Android version does not have:
 * {@code CheckApi SIGNATURES CLASSES SOURCES PACKAGE...}. Those packages count as present.
 */
class CheckApi {
    public static void main(String[] words) throws Exception {
        var logger = new PrintWriterLogger(System.out);
        var present = new ClassListBuilder(logger);
        present.process(new File(words[1]));
        var ours = new HashSet<>(present.getPackages());
        for (int i = 3; i < words.length; i++) {
            ours.add(words[i] + ".*");
        }
        ours.add("java.lang.Record"); // D8 brings its own
        try (var signatures = new FileInputStream(words[0])) {
            var checker = new SignatureChecker(signatures, ours, logger);
            checker.setAnnotationTypes(List.of("org.paddleportage.app.AsksForVersion"));
            checker.setSourcePath(List.of(new File(words[2])));
            checker.process(new File(words[1]));
            System.exit(checker.isSignatureBroken() ? 1 : 0);
        }
    }
}
