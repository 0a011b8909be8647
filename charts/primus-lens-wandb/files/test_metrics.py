# SPDX-License-Identifier: Apache-2.0
"""For `helm test`: each URL given is a page of metrics, or one that asks for a password.

Only Python's standard library is there. What certificates say is not looked at: a test has
neither the CA nor, behind client certificates, one of its own.
"""

import ssl
import sys
import time
import urllib.error
import urllib.request

SECONDS = 60


def complaint(url):
    """What is wrong with the page; empty if nothing is."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with urllib.request.urlopen(url, timeout=10, context=context) as response:
            page = response.read()
    except urllib.error.HTTPError as error:
        return "" if error.code == 401 else f"{url} answers {error.code}"
    except ssl.SSLError as error:
        return "" if "CERTIFICATE_REQUIRED" in str(error) else f"{url}: {error}"
    except OSError as error:
        return f"{url} does not answer: {error}"
    return "" if b"\nprimus_lens_" in page else f"{url} has no series of ours"


def main(urls):
    deadline = time.monotonic() + SECONDS
    for url in urls:
        while wrong := complaint(url):
            if time.monotonic() > deadline:
                sys.exit(wrong)
            time.sleep(2)
        print(f"{url} answers.")


if __name__ == "__main__":
    main(sys.argv[1:])
