// avow-gate.js: runs what needs a consent once it is given.

import { Gated, GateOptions } from './avow';
import { onChoices, recall } from './choices';
import { own } from './own';

interface Gate {
  preference: string;
  load: Gated;
  options: GateOptions;
  isOpen?: boolean;
  hasRun?: boolean;
  /** What `load` returned. */
  undo?: void | (() => void);
}

const gates: Gate[] = [];

function open(gate: Gate): void {
  const { load } = gate;
  gate.isOpen = true;
  if (gate.hasRun && !gate.undo) return; // it never ended
  gate.hasRun = true;
  if (typeof load === 'function') {
    gate.undo = load();
    return;
  }
  const script = document.createElement('script');
  script.src = load;
  document.head.append(script);
}

function close({ preference, options, undo }: Gate): void {
  if (undo) undo();
  if (options.withdrawn) options.withdrawn();
  if (undo || options.withdrawn) return;
  console.warn(`avow: ${preference} was withdrawn; what it loaded runs until the page is reloaded`);
  dispatchEvent(new CustomEvent('avow:reload', { detail: { preference } }));
}

/** Opens or closes; where nothing is known any more, what runs goes on. */
function check(gate: Gate): void {
  const isObjected = gate.options.sale_or_sharing && (navigator as any).globalPrivacyControl === true;
  const choice = isObjected ? false : recall()[gate.preference];
  try {
    if (choice && !gate.isOpen) open(gate);
    if (choice === false && gate.isOpen) {
      gate.isOpen = false;
      close(gate);
    }
  } catch (e) {
    queueMicrotask(() => {
      throw e; // the page's to see, and none of the other gates' business
    });
  }
}

export function gate(preference: string, load: Gated, options: GateOptions = {}): void {
  const entry = { preference, load, options };
  gates.push(entry);
  check(entry);
}

onChoices(() => gates.forEach(check));
own().gate = gate;
