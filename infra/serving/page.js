"use strict";
const form = document.getElementById("form");
const fields = [...form.querySelectorAll("[data-kind]")];
const usual = rowOf();
const level = document.body.dataset.level;
const positive = document.body.dataset.positive;
let timer = 0, turn = 0;

function valueOf(field) {
  if (field.value === "") return null;
  if (field.dataset.kind === "numeric") return Number(field.value);
  if (field.dataset.kind === "boolean") return field.value === "true";
  return field.value;
}

function rowOf() {
  return Object.fromEntries(fields.map(field => [field.name, valueOf(field)]));
}

function show(id, text) {
  const element = document.getElementById(id);
  element.textContent = text;
  element.hidden = !text;
}

function cells(row, values, kind) {
  values.forEach(value => {
    const cell = document.createElement(kind);
    if (value instanceof Node) cell.append(value);
    else cell.textContent = value;
    row.append(cell);
  });
  if (kind === "td" && row.lastChild) row.lastChild.className = "number";
}

function fill(body, rows) {
  body.replaceChildren(...rows.map(values => {
    const row = document.createElement("tr");
    cells(row, values, "td");
    return row;
  }));
}

function rounded(number) {
  return Number(number.toPrecision(5)).toString();
}

function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}

function scoreOf(answer, name) {
  return name ? answer[`probability_${name}`] : answer.prediction;
}

async function post(body, headers) {
  const url = level ? `/invocations?intervals=${level}` : "/invocations";
  const reply = await fetch(url, { method: "POST", headers, body });
  if (!reply.ok) {
    const refusal = await reply.json();
    throw new Error(refusal.message);
  }
  return reply;
}

async function ask() {
  const mine = ++turn, row = rowOf();
  const moved = fields.filter(field => row[field.name] !== usual[field.name]).map(field => field.name);
  const rows = [row, ...moved.map(name => ({ ...row, [name]: usual[name] }))];
  try {
    const reply = await (await post(JSON.stringify(rows), { "Content-Type": "application/json" })).json();
    if (mine !== turn) return;
    const [answer, ...without] = reply.predictions;
    showAnswer(answer);
    showMoves(answer, moved, without);
    show("unlike", await remarksOn(row, moved, reply));
    show("problem", "");
  } catch (error) {
    if (mine === turn) show("problem", error.message);
  }
}

async function remarksOn(row, moved, reply) {
  if (!reply.unlike_training) return "";
  const alone = moved.length ? await (await post(JSON.stringify([row]), { "Content-Type": "application/json" })).json() : reply;
  return (alone.unlike_training || []).join("\n");
}

function showAnswer(answer) {
  const chances = Object.entries(answer).filter(([name]) => name.startsWith("probability_"));
  show("prediction", typeof answer.prediction === "number" ? rounded(answer.prediction) : answer.prediction);
  show("interval", answer.prediction_low === undefined ? ""
    : `${rounded(answer.prediction_low)} to ${rounded(answer.prediction_high)} with ${percent(Number(level))} probability`);
  chances.sort((one, other) => other[1] - one[1]);
  fill(document.getElementById("chances"), chances.slice(0, 10).map(([name, share]) => {
    const meter = document.createElement("meter");
    meter.value = share;
    meter.setAttribute("aria-label", `probability of ${name.slice(12)}`);
    return [name.slice(12), meter, percent(share)];
  }));
}

function showMoves(answer, moved, without) {
  const name = positive || (typeof answer.prediction === "string" ? answer.prediction : "");
  const moves = moved.map((column, i) => [column, scoreOf(answer, name) - scoreOf(without[i], name)]);
  moves.sort((one, other) => Math.abs(other[1]) - Math.abs(one[1]));
  const sign = change => (change < 0 ? "\u2212" : "+");
  fill(document.getElementById("moves"), moves.map(([column, change]) =>
    [column, sign(change) + (name ? `${(100 * Math.abs(change)).toFixed(1)} points` : rounded(Math.abs(change)))]));
  document.getElementById("unmoved").hidden = moves.length > 0;
}

function later() {
  clearTimeout(timer);
  timer = setTimeout(ask, 150);
}

async function answerFile(file) {
  show("file-problem", "");
  document.getElementById("file-link").hidden = document.getElementById("file-table").hidden = true;
  show("file-rows", `${file.name} is being answered`);
  try {
    const text = await (await post(file, { "Content-Type": "text/csv", "Accept": "text/csv;header=present" })).text();
    const lines = text.trimEnd().split("\n").map(line => line.split(","));
    const head = document.createElement("tr");
    cells(head, ["row", ...lines[0]], "th");
    [...head.children].forEach(cell => cell.setAttribute("scope", "col"));
    document.getElementById("file-head").replaceChildren(head);
    fill(document.getElementById("file-body"), lines.slice(1, 21).map((line, i) => [String(i + 1), ...line]));
    show("file-rows", `${file.name}, answers: ${lines.length - 1}${lines.length > 21 ? ", the first 20 below" : ""}`);
    const link = document.getElementById("file-link");
    URL.revokeObjectURL(link.href);
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.hidden = document.getElementById("file-table").hidden = false;
  } catch (error) {
    show("file-rows", "");
    show("file-problem", error.message);
  }
}

form.addEventListener("submit", event => {
  event.preventDefault();
  ask();
});
form.addEventListener("reset", () => setTimeout(ask, 0));
form.addEventListener("input", event => {
  const partner = document.getElementById(event.target.dataset.partner);
  if (partner) partner.value = event.target.value;
  later();
});
const drop = document.getElementById("drop"), picker = document.getElementById("file");
picker.addEventListener("change", () => picker.files[0] && answerFile(picker.files[0]));
for (const name of ["dragover", "dragleave", "drop"]) {
  drop.addEventListener(name, event => {
    event.preventDefault();
    drop.classList.toggle("over", name === "dragover");
    if (name === "drop" && event.dataTransfer.files[0]) answerFile(event.dataTransfer.files[0]);
  });
}
ask();
