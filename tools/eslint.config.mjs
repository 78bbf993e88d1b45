// How the pages' code is linted. Its files become one script, so that each knows what the others define at their top.
import js from "@eslint/js";

const names = (text) => Object.fromEntries(text.split(" ").map((name) => [name, "readonly"]));
const browser = names("document window location history navigator console performance URL Blob Worker AudioContext OfflineAudioContext "
  + "URLSearchParams setTimeout clearTimeout setInterval clearInterval requestAnimationFrame atob postMessage localStorage");
const ours = names("make Random Model unpackWeights VOICES voiceOf mixer soundOf midiFile wavFile download Loop swung Shelf drawNotes Roll "
  + "FORMS PHRASE planOf chooseWindows Songs");

export default [
  js.configs.recommended,
  {
    languageOptions: { sourceType: "script", globals: { ...browser, ...ours, onmessage: "writable" } },
    rules: {
      "no-redeclare": ["error", { builtinGlobals: false }],
      "no-unused-vars": ["error", { vars: "local" }],
      "no-var": "error",
      "prefer-const": "error",
      eqeqeq: "error",
      complexity: ["error", 12],
      "max-len": ["error", 120],
      "max-params": ["error", 4],
    },
  },
];
