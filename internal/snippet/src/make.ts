// Elements without markup, so that no policy of a page stands against them.

/** Makes an element of the class avow-<name>. */
export function make<K extends keyof HTMLElementTagNameMap>(tag: K, name: string, ...content: (Node | string)[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  element.className = 'avow-' + name;
  element.append(...content);
  return element;
}

export function button(name: string, text: string, type: 'button' | 'submit', click?: () => void): HTMLButtonElement {
  const element = make('button', name, text);
  element.type = type;
  if (click) element.addEventListener('click', click);
  return element;
}

/** A form that never leaves the page: nothing in it has a name, and the browser's own checks are off. */
export function form(submit: () => void, ...content: Node[]): HTMLFormElement {
  const element = make('form', 'form', ...content);
  element.noValidate = true;
  element.addEventListener('submit', event => {
    event.preventDefault();
    submit();
  });
  return element;
}

let serial = 0;

/** Gives an element an id of its own, for labels and descriptions to name. */
export function named<E extends Element>(element: E): E {
  element.id = 'avow-' + ++serial;
  return element;
}
