"""What the tests that need a browser share."""

import browser
import pytest

# Counts what is started, and measures what goes to the loudspeakers.
WATCH = """
var started = 0, meter = null;
for (const kind of [AudioScheduledSourceNode, AudioBufferSourceNode]) {
  const start = kind.prototype.start;
  kind.prototype.start = function (...times) { started += 1; return start.apply(this, times); };
}
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (to, ...rest) {
  if (to === this.context.destination && this.context instanceof AudioContext) {
    connect.call(this, meter = new AnalyserNode(this.context, { fftSize: 4096 }));
  }
  return connect.call(this, to, ...rest);
};
function peak() {
  const samples = new Float32Array(meter.fftSize);
  meter.getFloatTimeDomainData(samples);
  return Math.max(...samples.map(Math.abs));
}
"""


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    program = browser.find()
    if program is None:
        pytest.exit(browser.HOW, returncode=1)
    found = browser.Page(program, str(tmp_path_factory.mktemp("profile")))
    found.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
    yield found
    found.close()
