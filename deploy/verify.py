"""Check a package that came from elsewhere: that it is whole, and who signed it.

    python deploy/verify.py --package SqueezeNet1_1-onnx-fp32.zip --key public.pem

Every file is held against the manifest, nothing unlisted may be there, and the signature must be
of the public key. Without a key the files are checked, and who made them stays open (status 3).
Nothing of the package is run or unpacked into a folder of yours.
"""

import sys

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401

from common.cli import Exit, Parser, end_with, run
from common.console import shown
from common.paths import absolute
from deploy.packages.received import check_files, unpacked
from deploy.packages.signature import SIGNATURE, check_signature, key_name


def main() -> int:
    parser = Parser(prog="python deploy/verify.py", description=__doc__)
    parser.add_argument(
        "--package", type=absolute, required=True, metavar="PATH", help="the package's folder, zip"
    )
    parser.add_argument(
        "--key", type=absolute, metavar="FILE", help="the public key of whoever should have made it"
    )
    options = parser.parse_args()
    if options.key:
        key_name(options.key)  # refused before anything is unpacked
    where = shown(options.package)
    with unpacked(options.package) as folder:
        about = check_files(folder, where)
        signer = check_signature(folder, options.key, where) if options.key else None
        signed = (folder / SIGNATURE).is_file()
    megabytes = sum(one.bytes for one in about.files.values()) / 1e6
    print(
        f"{where}: whole, {len(about.files)} files, {megabytes:.1f} MB; "
        f"{about.name} for {about.target}, {about.precision}, {about.origin}"
    )
    if signer:
        print(f"signed with {shown(options.key)} (sha256 {signer[:12]})")
        return Exit.OK
    print("signed, by whom was not checked: KEY=public.pem" if signed else "not signed")
    end_with("the files are whole; who made them is not known: KEY=public.pem checks that")
    return Exit.UNDECIDED


if __name__ == "__main__":
    run(main)
