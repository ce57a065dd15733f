/** `window.avow`, which the page, this script or another of ours has begun. */
export function own(): any {
  const page: any = window;
  // `avow` may also be an element: a page's id="avow" makes one a property of window.
  return page.avow && !page.avow.nodeType ? page.avow : (page.avow = {});
}
