#!/usr/bin/env bash
# The README's picture: the top of a run's report as a browser shows it. Needs Chromium and Pillow.
#   scripts/readme_picture.sh runs/demo/report.html docs/images/report.png
set -euo pipefail
page=$(realpath "$1") picture=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$folder" \
    --window-size=1100,1900 --screenshot="$folder/page.png" "file://$page" 2>"$folder/log"
python3 - "$folder/page.png" "$picture" <<'PYTHON'
import sys
from PIL import Image
Image.open(sys.argv[1]).convert("P", palette=Image.Palette.ADAPTIVE, colors=64).save(sys.argv[2], optimize=True)
PYTHON
