"use strict";

// Colours for MLIR: a small scanner, whose pieces put together are the text again.

const LONGEST_COLOURED = 120000;

const MLIR_PIECES = [
  ["comment", /\/\/[^\n]*/y],
  ["constant", /"(?:[^"\\\n]|\\.)*"/y],
  ["value", /%[\w$.-]+(?::\d+|#\d+)?/y],
  ["symbol", /@(?:[\w$.-]+|"(?:[^"\\\n]|\\.)*")|\^\w+|#[A-Za-z_][\w$.-]*/y],
  ["type", /(?:tensor|memref|vector|complex)<[^<>\n]*(?:<[^<>\n]*>[^<>\n]*)*>|!\w[\w.]*|(?:[su]?i[1-9]\d*|bf16|tf32|f\d+(?:E\w+)?|index)(?![\w.])/y],
  ["operation", /[A-Za-z_]\w*(?:\.\w+)+/y],
  ["keyword", /(?:affine_map|affine_set|dense|false|ins|iterator_types|indexing_maps|loc|module|outs|return|to|true|unit)(?!\w)/y],
  ["constant", /-?(?:0x[\dA-Fa-f]+|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)(?!\w)/y],
  ["", /[A-Za-z_$][\w$]*|\s+|[^]/uy],
];

// The pieces of a text as [class, text]; the class of what has no colour is empty.
function mlirPieces(text) {
  const pieces = [];
  let at = 0;
  while (at < text.length) {
    for (const [name, pattern] of MLIR_PIECES) {
      pattern.lastIndex = at;
      const match = pattern.exec(text);
      if (match !== null) {
        pieces.push([name, match[0]]);
        at = pattern.lastIndex;
        break;
      }
    }
  }
  return pieces;
}

function coloured(text) {
  const made = document.createDocumentFragment();
  let uncoloured = "";
  for (const [name, piece] of mlirPieces(text.slice(0, LONGEST_COLOURED))) {
    if (name === "") {
      uncoloured += piece;
      continue;
    }
    made.append(uncoloured, element("span", { class: name }, piece));
    uncoloured = "";
  }
  made.append(uncoloured + text.slice(LONGEST_COLOURED));
  return made;
}
