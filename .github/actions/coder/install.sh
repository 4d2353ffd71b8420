#!/usr/bin/env bash
# Installs coder from the checkout that this action came with, into a place of its own. Nothing here looks at the
# repository that coder will work on: it may be a stranger's.
set -euo pipefail
cd "$RUNNER_TEMP"

for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
  if found=$(command -v "$candidate") && "$found" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    python=$found
    break
  fi
done
if [ -z "${python:-}" ]; then
  echo "::error::coder needs Python 3.11 or newer; use actions/setup-python before it"
  exit 1
fi

if [ ! -x coder-venv/bin/coder ]; then
  "$python" -I -m venv --without-pip coder-venv
  "$python" -I -m pip --python coder-venv/bin/python install --quiet --disable-pip-version-check \
    "$GITHUB_ACTION_PATH/../../.."
fi
coder-venv/bin/coder --version

# A hosted runner is a machine of its own that is thrown away: there the sandbox may be allowed what it needs.
if [ "${IN_PREPARE_SANDBOX:-}" = true ] && [ "${RUNNER_ENVIRONMENT:-}" = github-hosted ] && [ "$(uname)" = Linux ]; then
  command -v bwrap >/dev/null || sudo -n apt-get install -y -qq --no-install-recommends bubblewrap >/dev/null || true
  sudo -n sysctl -q -w kernel.apparmor_restrict_unprivileged_userns=0 2>/dev/null || true
fi
