// A web worker that runs one Go program, named by ?program. It posts
//   {loaded, total}   while the program loads, in bytes
//   {ready}           the time from the start of the load, in ms
//   {failed}          why the program cannot run
//   {id, answer}      for each message {id, file}
'use strict';
importScripts('wasm_exec.js');
const start = performance.now();
function failed(text) { postMessage({ failed: String(text) }); } // Go calls failed and ready
function ready() { postMessage({ ready: performance.now() - start }); }

onmessage = ({ data: { id, file } }) => {
	try {
		postMessage({ id, answer: JSON.parse(classify(file)) });
	} catch (e) { // the program has ended, because it had no memory
		postMessage({ id, answer: { error: String(e) } });
	}
};

(async () => {
	const response = await fetch(new URLSearchParams(location.search).get('program'));
	if (!response.ok) throw new Error(`${response.url}: ${response.status}`);
	const total = Number(response.headers.get('Content-Length')), parts = [];
	let loaded = 0;
	for (const reader = response.body.getReader(); ;) {
		const { done, value } = await reader.read();
		if (done) break;
		parts.push(value);
		loaded += value.length;
		postMessage({ loaded, total });
	}
	const go = new Go();
	const { instance } = await WebAssembly.instantiate(await new Blob(parts).arrayBuffer(), go.importObject);
	go.run(instance).then(() => failed('the program ended'), failed);
})().catch(failed);
