import com.android.apksig.ApkSigner;
import com.android.apksig.ApkVerifier;
import java.io.File;
import java.io.FileInputStream;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.X509Certificate;
import java.util.List;

/**
 * Signs an APK (schemes 1, 2 and 3), then verifies what it wrote:
 * {@code SignApk KEYSTORE PASSWORD ALIAS MIN_SDK IN OUT}; or only verifies:
 * {@code SignApk MIN_SDK APK}. Prints the schemes that hold; status 1 when one does not.
 */
class SignApk {
    public static void main(String[] words) throws Exception {
        int minSdk = Integer.parseInt(words[words.length == 2 ? 0 : 3]);
        File signed = new File(words[words.length - 1]);
        if (words.length > 2) {
            sign(words, minSdk, new File(words[4]), signed);
        }
        var verifier = new ApkVerifier.Builder(signed).setMinCheckedPlatformVersion(minSdk).build();
        var result = verifier.verify();
        result.getErrors().forEach(issue -> System.out.println("error: " + issue));
        result.getV1SchemeSigners()
                .forEach(signer -> signer.getErrors().forEach(issue -> System.out.println("error: " + issue)));
        result.getV2SchemeSigners()
                .forEach(signer -> signer.getErrors().forEach(issue -> System.out.println("error: " + issue)));
        System.out.printf(
                "v1=%b v2=%b v3=%b%n",
                result.isVerifiedUsingV1Scheme(),
                result.isVerifiedUsingV2Scheme(),
                result.isVerifiedUsingV3Scheme());
        System.exit(result.isVerified() ? 0 : 1);
    }

    private static void sign(String[] words, int minSdk, File in, File out) throws Exception {
        var store = KeyStore.getInstance("PKCS12");
        char[] password = words[1].toCharArray();
        try (var stream = new FileInputStream(words[0])) {
            store.load(stream, password);
        }
        var key = (PrivateKey) store.getKey(words[2], password);
        var certificate = (X509Certificate) store.getCertificate(words[2]);
        var signer = new ApkSigner.SignerConfig.Builder("debug", key, List.of(certificate)).build();
        new ApkSigner.Builder(List.of(signer))
                .setInputApk(in)
                .setOutputApk(out)
                .setMinSdkVersion(minSdk)
                .setV1SigningEnabled(true)
                .setV2SigningEnabled(true)
                .setV3SigningEnabled(true)
                .build()
                .sign();
    }
}
