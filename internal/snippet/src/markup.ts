// The form as it was shown, written so that everybody who was shown the same form yields the same bytes.

import { isCapturable, isChoice, isSecret, oneOf } from './form';

// Only what a person perceives, or what ties a label to its box, in this order; classes and styles follow
// typing and window size, and other attributes carry nonces and tokens.
const KEPT =
  'type name id for value checked selected disabled required multiple hidden href alt title placeholder label aria-label lang dir'.split(' ');
const isDropped = oneOf('script style template noscript iframe');
const isVoid = oneOf('input br hr img');
const isButtonType = oneOf('submit button reset image');
const SCRIPT = /^\s*javascript:/i;
/** Values in an address that are long enough to name one visitor. */
const TOKEN = /=[\w.~%+-]{20,}/g;

const escape = (s: string): string =>
  s.replace(/[&<>"]/g, c => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]!);

/** HTML of the element without typed values, scripts and anything that differs from one visitor to the next. */
export function markup(node: Node): string {
  if (node.nodeType === 3) return escape((node as Text).data);
  if (node.nodeType !== 1) return '';
  const element = node as Element;
  const tag = element.localName;
  const type = isSecret(element) ? 'password' : (element.getAttribute('type') || '').toLowerCase();
  if (isDropped(tag) || type === 'hidden' || (tag === 'textarea' && !isCapturable(element as any))) return '';

  const isButton = isButtonType((element as HTMLButtonElement).type);
  // What a person types is not what they were shown, and pages grey a button out while they work.
  const passing = isButton ? 'disabled' : tag === 'input' && !isChoice(type) && 'value';
  let html = '<' + tag;
  if (element.hasAttributes()) KEPT.forEach(name => {
    const value = element.getAttribute(name);
    if (value === null || name === passing || SCRIPT.test(value) || (name === 'id' && !(element as any).labels?.[0])) return;
    html += ` ${name}="${escape(name === 'type' ? type : value.replace(TOKEN, '='))}"`;
  });
  html += '>';
  if (isVoid(tag)) return html;
  if (tag !== 'textarea' && !(element as HTMLElement).isContentEditable) node.childNodes.forEach(child => (html += markup(child)));
  return html + `</${tag}>`;
}
