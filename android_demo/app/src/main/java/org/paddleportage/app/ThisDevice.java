package org.paddleportage.app;

import android.content.Context;
import android.content.pm.PackageManager;
import android.os.Build;
import android.os.Process;
import org.paddleportage.core.Device;

/** The phone that the app runs on, as results name it. */
final class ThisDevice {
    private ThisDevice() {}

    static Device describe(Context context) {
        return new Device(
                Build.MANUFACTURER + " " + Build.MODEL,
                DeviceCompat.soc(),
                abi(),
                Build.VERSION.RELEASE,
                version(context));
    }

    /** The ABI of this process: a phone of 64 bits runs an app without such a library in 32. */
    static String abi() {
        String[] abis = Process.is64Bit() ? Build.SUPPORTED_64_BIT_ABIS : Build.SUPPORTED_32_BIT_ABIS;
        return abis.length > 0 ? abis[0] : Build.CPU_ABI;
    }

    static String version(Context context) {
        try {
            return context.getPackageManager().getPackageInfo(context.getPackageName(), 0).versionName;
        } catch (PackageManager.NameNotFoundException impossible) {
            throw new AssertionError(impossible);
        }
    }
}
