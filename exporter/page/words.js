/** What things are called, and numbers as people say them. */
'use strict';

const ROLES = { worker: 'Workers', federated: 'Federated' };
const BACKENDS = { llama_cpp: 'llama.cpp', mlx: 'MLX' };

const many = (count, one, more = `${one}s`) => `${count} ${count === 1 ? one : more}`;
const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString();
const joined = (...parts) => parts.filter(Boolean).join(' · ');

/** Makes a sentence's beginning of a text. */
const begun = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** Names the first few of many, and counts the others. */
function named(items) {
  const others = items.length - 5;
  const first = items.slice(0, 5).map((item) => item.name).join(', ');
  return others > 0 ? `${first} and ${others} more` : first;
}

function span(seconds) {
  const whole = Math.floor(Math.max(seconds, 0));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

/** An age in seconds: null is never, and what a clock that runs ahead says lies in the future. */
function ago(age, verb) {
  if (age === null) return `never ${verb}`;
  return age < -1 ? `${span(-age)} ahead` : `${verb} ${span(age)} ago`;
}
