(() => {
'use strict';
const $ = (s, r = document) => r.querySelector(s);
const all = (s, r = document) => [...r.querySelectorAll(s)];
const data = JSON.parse($('#data').textContent);
const canvas = $('.canvas'), detail = $('.detail'), hint = $('.hint'), find = $('.find input'), count = $('.find output');
document.documentElement.classList.add('js');

// A view shows the part of a graph's drawing that starts at (x, y), with k pixels
// per unit.
const views = {};
for (const f of all('figure', canvas)) {
	const svg = $('svg', f), [, , w, h] = svg.getAttribute('viewBox').split(' ').map(Number);
	svg.removeAttribute('width');
	svg.removeAttribute('height');
	views[f.dataset.graph] = { f, svg, w, h, x: 0, y: 0, k: 0, boxes: all('.n', svg) };
}
let shown = 'b';

// The canvas is as high as the drawings need that fit its width, at least high enough for the
// details.
function stretch() {
	const W = canvas.clientWidth, least = W > 600 ? 0 : .62;
	const high = Math.max(...Object.values(views).map(v => v.h * Math.max(least, Math.min(W / v.w, 1.25))));
	canvas.parentNode.style.setProperty('--tall', Math.max(340, high + 30) + 'px');
}

function apply(v) {
	const W = canvas.clientWidth || 1, H = canvas.clientHeight || 1;
	// A part of the drawing stays visible.
	v.x = Math.min(Math.max(v.x, 60 / v.k - W / v.k), v.w - 60 / v.k);
	v.y = Math.min(Math.max(v.y, 60 / v.k - H / v.k), v.h - 60 / v.k);
	v.svg.setAttribute('viewBox', `${v.x} ${v.y} ${W / v.k} ${H / v.k}`);
	scale(v, v.k);
}
// Labels that would be too small at a scale give way to larger ones. Names of groups stay as
// large as needed.
function scale(v, k) {
	v.svg.classList.toggle('far', k < .7);
	v.svg.classList.toggle('farther', k < .4);
	v.svg.style.setProperty('--name', 15 / k + 'px');
}
function fit(v) {
	const W = canvas.clientWidth, H = canvas.clientHeight;
	v.k = Math.min(W / v.w, H / v.h, 1.25);
	// For a tall drawing, show the top instead of the whole drawing.
	if (v.w * v.k < W / 4) v.k = Math.max(v.k, Math.min(W / v.w / 2, .8));
	v.x = (v.w - W / v.k) / 2;
	v.y = v.h * v.k > H ? 0 : (v.h - H / v.k) / 2;
	apply(v);
}
// A narrow window starts at the top of the drawing, at a readable scale.
function open(v) {
	fit(v);
	if (canvas.clientWidth > 600) return;
	v.k = Math.max(v.k, .62);
	v.x = 0;
	v.y = place(v.boxes[0])[1] - 40;
	apply(v);
}
function zoom(v, by, px = canvas.clientWidth / 2, py = canvas.clientHeight / 2) {
	const k = Math.min(Math.max(v.k * by, .03), 5);
	v.x += px / v.k - px / k;
	v.y += py / v.k - py / k;
	v.k = k;
	apply(v);
}
function show(g) {
	shown = g;
	for (const [id, v] of Object.entries(views)) {
		v.f.classList.toggle('shown', id === g);
		$(`[data-graph="${id}"]`, $('.tabs')).setAttribute('aria-pressed', id === g);
	}
	if (!views[g].k) open(views[g]);
	search();
}

// Nodes: a click selects a node, highlights its wires and shows its details.
function box(g, i) { return views[g].boxes[i]; }
function place(b) { return b.getAttribute('transform').match(/-?[\d.]+/g).map(Number); }
// centred moves the drawing so that node i is in the middle of the canvas.
function centred(g, i) {
	const v = views[g], r = $('.b', box(g, i)), [x, y] = place(box(g, i));
	v.x = x + 14 + r.width.baseVal.value / 2 - canvas.clientWidth / v.k / 2;
	// In a narrow window the details cover the lower part.
	const free = canvas.clientHeight - (getComputedStyle(detail).position === 'absolute' ? detail.offsetHeight : 0);
	v.y = y + 14 + r.height.baseVal.value / 2 - free / v.k / 2;
}
function select(g, i, centre) {
	if (!data[g] || !data[g].nodes[i]) return;
	if (shown !== g) show(g);
	clear();
	box(g, i).classList.add('on');
	data[g].wires.forEach((w, k) => {
		if (w.a === i || (w.b || []).includes(i)) $(`.w[data-k="${k}"]`, views[g].svg)?.classList.add('on');
	});
	describe(g, i);
	if (centre) {
		views[g].k = Math.max(views[g].k, .9);
		centred(g, i);
	}
	apply(views[g]);
}
function clear() {
	all('.on', canvas).forEach(e => e.classList.remove('on'));
	detail.hidden = true;
	apply(views[shown]);
}
// element(name, text, ...children): strings of a model are text, never markup.
function element(name, text, ...children) {
	const e = document.createElement(name);
	if (text) e.textContent = text;
	e.append(...children);
	return e;
}
function link(g, i) {
	const n = data[g].nodes[i], a = element('a', n.n || n.t);
	a.href = `#${g}${i}`;
	return element('li', '', a, ' ', element('small', n.t));
}
function section(title, items) {
	if (items.length) detail.append(element('h4', title), element('ul', '', ...items));
}
function figure(n) {
	if (n >= 1e9) return (n / 1e9).toFixed(1) + ' G';
	if (n >= 1e6) return (n / 1e6).toFixed(1) + ' M';
	return n.toLocaleString('en');
}
function describe(g, i) {
	const n = data[g].nodes[i], wires = data[g].wires;
	const close = element('button', '×');
	close.className = 'close';
	close.title = 'Close';
	close.onclick = clear;
	detail.replaceChildren(close, element('h3', n.n || n.t), element('p', n.t));
	if (n.w) detail.append(element('p', n.w));
	if (n.p) detail.append(element('p', figure(n.p) + ' parameters'));
	if (n.f) detail.append(element('p', figure(n.f) + 'FLOP'));
	section('Computes', (n.s || []).map(k => link('b', k)));
	section('Computed by', (n.i || []).map(k => link('a', k)));
	if (g === 'b' && n.x && !n.i) detail.append(element('h4', 'Gone: computed at compile time, or not needed'));
	section('Steps', (n.l || []).map(k => {
		const a = element('a', $(`#l${k} .name`).firstElementChild.textContent);
		a.href = '#l' + k;
		return element('li', '', a, ' ', element('small', 'step ' + k));
	}));
	const typed = (k, w) => { const e = link(g, k); e.lastChild.textContent = w.y; return e; };
	section('Reads', wires.filter(w => (w.b || []).includes(i)).map(w => typed(w.a, w)));
	section('Read by', wires.filter(w => w.a === i).flatMap(w => (w.b || []).map(k => typed(k, w))));
	if (n.x) detail.append(element('h4', g === 'a' ? 'Text' : 'Text of the nodes before the passes'), element('code', n.x));
	detail.hidden = false;
	detail.scrollTop = 0;
}
function go(hash, smooth) {
	const m = /^#([ab])(\d+)$/.exec(hash);
	if (!m) return false;
	select(m[1], +m[2], true);
	const r = canvas.getBoundingClientRect();
	if (r.top < 0 || r.bottom > innerHeight) $('#graph').scrollIntoView({ behavior: smooth ? 'smooth' : 'auto' });
	return true;
}
document.addEventListener('click', e => {
	const a = e.target.closest('a[href^="#"]');
	if (a && go(a.getAttribute('href'), true)) {
		e.preventDefault();
		history.replaceState(null, '', a.getAttribute('href'));
	}
});

// Pointers: one pointer drags, two pinch, a click selects.
const held = new Map();
let moved = 0, down = null;
canvas.addEventListener('pointerdown', e => {
	if (e.button) return;
	canvas.focus({ preventScroll: true });
	canvas.setPointerCapture(e.pointerId);
	held.set(e.pointerId, [e.clientX, e.clientY]);
	canvas.classList.add('held');
	if (held.size === 1) { moved = 0; down = e.target; }
});
canvas.addEventListener('pointermove', e => {
	const p = held.get(e.pointerId), v = views[shown];
	if (!p) return;
	const q = [e.clientX, e.clientY], others = [...held.entries()].filter(([id]) => id !== e.pointerId);
	moved += Math.hypot(q[0] - p[0], q[1] - p[1]);
	if (others.length) {
		const o = others[0][1], r = canvas.getBoundingClientRect();
		const before = Math.hypot(p[0] - o[0], p[1] - o[1]), after = Math.hypot(q[0] - o[0], q[1] - o[1]);
		if (before > 0) zoom(v, after / before, (q[0] + o[0]) / 2 - r.left, (q[1] + o[1]) / 2 - r.top);
	} else if (moved > 4) {
		v.x -= (q[0] - p[0]) / v.k;
		v.y -= (q[1] - p[1]) / v.k;
		apply(v);
	}
	held.set(e.pointerId, q);
});
for (const type of ['pointerup', 'pointercancel']) canvas.addEventListener(type, e => {
	if (!held.delete(e.pointerId) || held.size) return;
	canvas.classList.remove('held');
	if (type === 'pointerup' && moved <= 4) {
		const n = down && down.closest('.n');
		if (n) select(shown, views[shown].boxes.indexOf(n)); else clear();
	}
});
let waiting;
canvas.addEventListener('wheel', e => {
	if (!e.ctrlKey && !e.metaKey && document.activeElement !== canvas) {
		hint.classList.add('shown');
		clearTimeout(waiting);
		waiting = setTimeout(() => hint.classList.remove('shown'), 1400);
		return;
	}
	e.preventDefault();
	const r = canvas.getBoundingClientRect(), lines = e.deltaMode ? 24 : 1;
	zoom(views[shown], Math.exp(-e.deltaY * lines * (e.ctrlKey ? .008 : .0022)), e.clientX - r.left, e.clientY - r.top);
}, { passive: false });

// Keys and buttons.
const commands = { in: v => zoom(v, 1.3), out: v => zoom(v, 1 / 1.3), fit, one: v => zoom(v, 1 / v.k) };
canvas.addEventListener('keydown', e => {
	const i = views[shown].boxes.indexOf(e.target);
	if (i >= 0 && (e.key === 'Enter' || e.key === ' ')) {
		e.preventDefault();
		select(shown, i, false);
		return;
	}
	const v = views[shown], by = 80 / v.k;
	const key = {
		'+': () => commands.in(v), '=': () => commands.in(v), '-': () => commands.out(v), '0': () => fit(v), '1': () => commands.one(v),
		ArrowLeft: () => { v.x -= by; apply(v); }, ArrowRight: () => { v.x += by; apply(v); },
		ArrowUp: () => { v.y -= by; apply(v); }, ArrowDown: () => { v.y += by; apply(v); },
		'/': () => find.focus(),
	}[e.key];
	if (!key || e.ctrlKey || e.metaKey || e.altKey) return;
	e.preventDefault();
	key();
});
// Tab goes from node to node. The drawing moves if the node is outside the canvas.
canvas.addEventListener('focusin', e => {
	const i = views[shown].boxes.indexOf(e.target);
	if (i < 0) return;
	canvas.scrollTop = canvas.scrollLeft = 0;
	const c = canvas.getBoundingClientRect(), r = e.target.getBoundingClientRect();
	if (r.left >= c.left && r.right <= c.right && r.top >= c.top && r.bottom <= c.bottom) return;
	centred(shown, i);
	apply(views[shown]);
});
// Escape ends the search and closes the details, wherever the focus is.
document.addEventListener('keydown', e => {
	if (e.key !== 'Escape') return;
	find.value = '';
	search();
	clear();
});
for (const b of all('[data-zoom]')) b.onclick = () => commands[b.dataset.zoom](views[shown]);
for (const b of all('.tabs button')) b.onclick = () => { clear(); show(b.dataset.graph); };

// Search: matching nodes are marked, and Enter selects the next one.
let hits = [], at = -1;
function search() {
	for (const e of all('.hit', canvas)) e.classList.remove('hit');
	const q = find.value.trim().toLowerCase();
	at = -1;
	hits = !q ? [] : data[shown].nodes.flatMap((n, i) => (n.n + ' ' + n.t).toLowerCase().includes(q) ? [i] : []);
	for (const i of hits) box(shown, i).classList.add('hit');
	count.textContent = !q ? '' : hits.length ? `${hits.length} found, Enter shows them` : 'nothing found';
}
find.addEventListener('input', search);
find.addEventListener('keydown', e => {
	if (e.key !== 'Enter' || !hits.length) return;
	e.preventDefault();
	const n = hits.length, next = (at + (e.shiftKey ? n - 1 : 1) + n) % n;
	select(shown, hits[next], true);
	at = next;
	count.textContent = `${next + 1} of ${n}`;
});

// Tables: a click on a heading sorts, the next click reverses the order.
for (const th of all('th[data-sort]')) {
	th.tabIndex = 0;
	const sort = () => {
		const up = th.getAttribute('aria-sort') !== 'ascending', col = th.cellIndex, body = th.closest('table').tBodies[0];
		for (const o of th.parentNode.cells) o.removeAttribute('aria-sort');
		th.setAttribute('aria-sort', up ? 'ascending' : 'descending');
		const value = r => th.dataset.sort === 'number' ? +r.cells[col].dataset.v : r.cells[col].dataset.v;
		const rows = [...body.rows].sort((a, b) => {
			const x = value(a), y = value(b);
			return (x < y ? -1 : x > y ? 1 : 0) * (up ? 1 : -1);
		});
		body.append(...rows);
	};
	th.onclick = sort;
	th.onkeydown = e => { if (e.key === 'Enter' || e.key === ' ') { e.preventDefault(); sort(); } };
}

// Charts: a tooltip describes the element under the pointer; a click selects its
// layer.
const tip = $('.tip');
document.addEventListener('pointermove', e => {
	const t = e.target.closest && e.target.closest('[data-tip]');
	tip.hidden = !t;
	if (!t) return;
	tip.textContent = t.dataset.tip;
	const r = tip.getBoundingClientRect();
	tip.style.left = Math.max(4, Math.min(e.clientX + 14, innerWidth - r.width - 4)) + 'px';
	tip.style.top = (e.clientY + 18 + r.height > innerHeight ? e.clientY - r.height - 10 : e.clientY + 18) + 'px';
});
document.addEventListener('click', e => {
	const t = e.target.closest('[data-layer]');
	if (t) location.hash = '#l' + t.dataset.layer;
});

// A printed page shows the whole graph.
addEventListener('beforeprint', () => {
	for (const v of Object.values(views)) {
		v.svg.setAttribute('viewBox', `0 0 ${v.w} ${v.h}`);
		scale(v, +v.f.dataset.scale);
	}
});
addEventListener('afterprint', () => { for (const v of Object.values(views)) if (v.k) apply(v); });
addEventListener('resize', () => { stretch(); for (const v of Object.values(views)) if (v.k) apply(v); });
addEventListener('hashchange', () => go(location.hash));
stretch();
show('b');
go(location.hash);
})();
