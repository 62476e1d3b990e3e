"""Which of the compiled libraries this machine can run, and with which options each was compiled."""

import hatch_build
from service.codecs.json.native import library

RUNNABLE = {
    name: options
    for name, options in hatch_build.LIBRARIES.items()
    if name == library.ANY_PROCESSOR or library.open_library(library.ANY_PROCESSOR).attention_runs_wide()
}
