// SPDX-License-Identifier: Apache-2.0
// Patching the page. What the exporter says is text, never markup: nothing here, or anywhere,
// parses HTML. A node is touched only where it differs, so that selection, focus and scroll stay.

/** A copy of a template of index.html: its element as `root`, and its `data-part`s by name. */
export function stamp(id) {
  const root = document.getElementById(id).content.firstElementChild.cloneNode(true);
  const parts = { root };
  for (const node of root.querySelectorAll("[data-part]")) parts[node.dataset.part] = node;
  if (root.dataset.part) parts[root.dataset.part] = root;
  return parts;
}

/** The text of a node that holds nothing else. */
export function text(node, value) {
  const child = node.firstChild;
  if (child === null) node.textContent = value;
  else if (child.nodeValue !== value) child.nodeValue = value;
}

/** An attribute; null takes it away. */
export function attribute(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/** Shows or hides. */
export function shown(node, yes) {
  if (node.hidden === yes) node.hidden = !yes;
}

const members = new WeakMap(); // of a parent: its children by what they stand for

/**
 * The children of `parent`, one for each item, in that order. `make` gives a new child's parts,
 * `update` fills them. `idOf` may be any text: it is kept in a Map.
 */
export function keyed(parent, items, idOf, make, update) {
  const before = members.get(parent) ?? new Map();
  const now = new Map();
  for (const item of items) {
    const id = idOf(item);
    const parts = before.get(id) ?? make(item);
    before.delete(id);
    now.set(id, parts);
    update(parts, item);
  }
  members.set(parent, now);
  for (const parts of before.values()) parts.root.remove();
  arrange(
    parent,
    [...now.values()].map((parts) => parts.root),
  );
}

/** What stands for one item of `parent`, or undefined. */
export function member(parent, id) {
  return members.get(parent)?.get(id);
}

function arrange(parent, roots) {
  const focused = document.activeElement;
  let place = parent.firstChild;
  for (const root of roots) {
    if (root === place) place = place.nextSibling;
    else parent.insertBefore(root, place);
  }
  // A node that is moved loses the focus.
  if (focused !== document.activeElement && parent.contains(focused)) {
    focused.focus({ preventScroll: true });
  }
}
