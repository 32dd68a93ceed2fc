'use strict';
const mb = n => (n / 1e6).toFixed(1) + ' MB';
const ms = n => (n < 10 ? n.toFixed(1) : n.toFixed(0)) + ' ms';

// program starts the worker of a section and shows the progress of its load. It
// returns ask, which resolves to the answer for a picture file. A worker answers one
// picture at a time.
function program(section, file) {
	const worker = new Worker('worker.js?program=' + file), open = new Map();
	const bar = section.querySelector('progress'), text = section.querySelector('.load span');
	let size = 0, next = 0;
	worker.onmessage = ({ data }) => {
		if ('loaded' in data) {
			size = data.loaded;
			if (data.total) bar.max = data.total, bar.value = size;
			text.textContent = `loading … ${mb(size)}` + (data.total ? ` of ${mb(data.total)}` : '');
		} else if ('ready' in data) {
			bar.hidden = true;
			text.textContent = `${mb(size)}, ready after ${ms(data.ready)}`;
			section.dataset.state = 'ready';
		} else if ('failed' in data) {
			bar.hidden = true;
			text.textContent = 'failed: ' + data.failed;
			section.dataset.state = 'failed';
			for (const resolve of open.values()) resolve({ error: data.failed });
			open.clear();
		} else {
			open.get(data.id)(data.answer);
			open.delete(data.id);
		}
	};
	worker.onerror = e => worker.onmessage({ data: { failed: e.message } });
	return async blob => {
		const bytes = new Uint8Array(await blob.arrayBuffer());
		if (section.dataset.state === 'failed') return { error: text.textContent };
		return new Promise(resolve => {
			open.set(++next, resolve);
			worker.postMessage({ id: next, file: bytes }, [bytes.buffer]);
		});
	};
}

// show writes an answer into a section.
function show(section, answer) {
	const best = section.querySelector('.best'), list = section.querySelector('.classes'), time = section.querySelector('.time');
	const classes = answer.classes ?? [], name = c => c.name.replaceAll('_', ' ');
	const share = classes.every(c => c.score >= 0 && c.score <= 1); // otherwise the network has no softmax
	best.classList.toggle('error', 'error' in answer);
	best.textContent = answer.error ?? (classes.length ? name(classes[0]) : '–');
	list.replaceChildren(...classes.map(c => {
		const item = document.createElement('li'), label = document.createElement('span'), score = document.createElement('span'), bar = document.createElement('i');
		label.textContent = name(c);
		score.textContent = share ? (100 * c.score).toFixed(1) + ' %' : c.score.toFixed(1);
		bar.style.width = 100 * Math.max(0, share ? c.score : c.score / classes[0].score) + '%';
		item.append(label, score, bar);
		return item;
	}));
	time.textContent = classes.length ? `network ${ms(answer.predict)}, decoding ${ms(answer.decode)}` : '';
}

// The digit: the canvas is classified while a person draws. If the network is busy,
// only the newest state waits.
{
	const section = document.querySelector('#digit'), canvas = section.querySelector('canvas'), pen = canvas.getContext('2d');
	const ask = program(section, 'digit.wasm');
	let busy = false, changed = false, empty = true;
	const clear = () => {
		pen.fillStyle = '#000';
		pen.fillRect(0, 0, canvas.width, canvas.height);
		empty = true;
		show(section, {});
	};
	const classify = async () => {
		changed = true;
		if (busy) return;
		busy = true;
		while (changed) {
			changed = false;
			const blob = await new Promise(resolve => canvas.toBlob(resolve));
			const answer = await ask(blob);
			if (!empty) show(section, answer);
		}
		busy = false;
	};
	const at = e => [e.offsetX * canvas.width / canvas.clientWidth, e.offsetY * canvas.height / canvas.clientHeight];
	canvas.onpointerdown = e => {
		canvas.setPointerCapture(e.pointerId);
		Object.assign(pen, { strokeStyle: '#fff', lineWidth: 28, lineCap: 'round', lineJoin: 'round' });
		pen.beginPath();
		pen.moveTo(...at(e));
		canvas.onpointermove(e);
	};
	canvas.onpointermove = e => {
		if (!canvas.hasPointerCapture(e.pointerId)) return;
		empty = false;
		pen.lineTo(...at(e));
		pen.stroke();
		classify();
	};
	section.querySelector('button').onclick = clear;
	clear();
}

// The photo: a file is dropped or chosen.
{
	const section = document.querySelector('#photo'), drop = section.querySelector('.drop'), img = section.querySelector('img');
	const ask = program(section, 'photo.wasm');
	let newest = 0;
	img.onerror = () => { img.hidden = true; drop.classList.remove('full'); }; // the worker says why
	const classify = async file => {
		if (!file) return;
		const mine = ++newest;
		URL.revokeObjectURL(img.src);
		img.src = URL.createObjectURL(file);
		img.hidden = false;
		drop.classList.add('full');
		show(section, {});
		section.querySelector('.best').textContent = 'classifying …';
		const answer = await ask(file);
		if (mine === newest) show(section, answer);
	};
	section.querySelector('input').onchange = e => classify(e.target.files[0]);
	section.ondragover = e => { e.preventDefault(); drop.classList.add('over'); };
	section.ondragleave = () => drop.classList.remove('over');
	section.ondrop = e => {
		e.preventDefault();
		drop.classList.remove('over');
		classify(e.dataTransfer.files[0]);
	};
	fetch('networks.json').then(r => r.json()).then(n => section.querySelector('h2').textContent = `Drop a photo: ${n.photo}`);
}
