// Theme, live updates and quicker stepping. The pages say everything without it.
"use strict";
(() => {
  const root = document.documentElement;
  const THEMES = ["", "light", "dark"];
  const NAMES = { "": "Theme: system", light: "Theme: light", dark: "Theme: dark" };
  const PERIOD = 2000;
  const SLOWEST = 30000;

  // Before the page is painted: the chosen theme, unless the address names one.
  const remembered = () => {
    try { return localStorage.getItem("surefoot-theme") || ""; } catch { return ""; }
  };
  const put = (theme) => {
    if (theme) root.dataset.theme = theme; else delete root.dataset.theme;
  };
  if (!root.dataset.theme && THEMES.includes(remembered())) put(remembered());

  const region = () => document.getElementById("region");
  const partOf = (address) => {
    const url = new URL(address, location.href);
    url.searchParams.set("part", "1");
    url.hash = "";
    return url;
  };

  // Put a fresh part in place and keep what the reader did: focus, opened folds, scroll.
  function swap(html) {
    const holder = document.createElement("template");
    holder.innerHTML = html;
    const fresh = holder.content.querySelector("#region");
    const old = region();
    if (!fresh || !old) return;
    const open = new Map([...old.querySelectorAll("details[data-key]")].map((fold) => [fold.dataset.key, fold.open]));
    for (const fold of fresh.querySelectorAll("details[data-key]")) {
      if (open.has(fold.dataset.key)) fold.open = open.get(fold.dataset.key);
    }
    const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
    const title = old.querySelector("#detail-title")?.textContent;
    const scrolled = old.querySelector(".detail")?.scrollTop || 0;
    old.replaceWith(fresh);
    show(fresh);
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    const detail = fresh.querySelector(".detail");
    if (detail && fresh.querySelector("#detail-title")?.textContent === title) detail.scrollTop = scrolled;
  }

  const isReading = () => {
    const selection = getSelection();
    return selection && !selection.isCollapsed && region()?.contains(selection.anchorNode);
  };

  // Live updates.
  let etag = "";
  let wait = PERIOD;
  let timer = 0;

  function say(text, kind) {
    const pulse = document.getElementById("pulse");
    if (!pulse || pulse.textContent === text) return;
    pulse.textContent = text;
    pulse.className = `pulse ${kind}`;
  }

  async function look() {
    const address = location.href;
    const began = performance.now();
    try {
      const answer = await fetch(partOf(address), {
        cache: "no-store",
        headers: etag ? { "If-None-Match": etag } : {},
      });
      if (address !== location.href) return;
      if (answer.status === 200) {
        const html = await answer.text();
        if (address === location.href && !isReading()) {
          etag = answer.headers.get("ETag") || "";
          swap(html);
        }
      } else if ([401, 403, 404].includes(answer.status)) {
        // The session, the right to see this or the run itself is gone: the page says it, and leads on.
        location.reload();
      } else if (answer.status !== 304) {
        throw new Error(`HTTP ${answer.status}`);
      }
      // A run of many thousand steps takes the server a while: it is asked less often.
      wait = Math.min(Math.max(PERIOD, 8 * (performance.now() - began)), SLOWEST);
      say("Live", "");
    } catch {
      wait = Math.min(2 * wait, SLOWEST);
      say("No answer, trying again", "lost");
    }
  }

  function plan() {
    clearTimeout(timer);
    const isLive = region()?.hasAttribute("data-live");
    if (!isLive) {
      say("", "still");
      return;
    }
    if (document.hidden) {
      say("Paused", "still");
      return;
    }
    say("Live", "");
    timer = setTimeout(async () => {
      await look();
      plan();
    }, wait);
  }

  // Choosing a step without loading the page anew.
  async function go(address, isNew) {
    const asked = new URL(address, location.href);
    try {
      const answer = await fetch(partOf(asked), { cache: "no-store" });
      if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
      const html = await answer.text();
      if (isNew) history.pushState(null, "", asked);
      etag = answer.headers.get("ETag") || "";
      swap(html);
      plan();
      if (isNew && asked.hash && matchMedia("(max-width: 1080px)").matches) {
        document.getElementById("detail")?.scrollIntoView();
      }
    } catch {
      location.assign(asked);
    }
  }

  function onClick(event) {
    const copy = event.target.closest("[data-copy]");
    if (copy) {
      navigator.clipboard.writeText(copy.dataset.copy).then(() => { copy.textContent = "Copied"; });
      return;
    }
    const link = event.target.closest("a[data-step]");
    if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(link.href, true);
  }

  // Keys of a page on which something is decided: each presses a button, follows a link, or goes to a field.
  function onHotkey(event) {
    const field = event.target.closest?.("textarea, input:not([type=radio]), select");
    if (field && event.key === "Escape") field.blur();
    if (field && event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      document.querySelector("[data-hotkey=c]")?.click();
    }
    if (field || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return false;
    const goal = /^[a-z]$/.test(event.key) && document.querySelector(`[data-hotkey=${event.key}]`);
    if (!goal || goal.disabled) return false;
    event.preventDefault();
    if (goal.matches("textarea")) goal.focus(); else goal.click();
    return true;
  }

  // What was edited can only be sent as a correction, and is not lost by a key.
  function watchReview(form) {
    const text = form.querySelector("textarea");
    const whole = () => `${form.elements.form?.value}:${text.value}`;
    const before = text && whole();
    const look = () => {
      const isEdited = whole() !== before;
      form.querySelector("[data-edited]").hidden = !isEdited;
      for (const button of form.querySelectorAll("[data-plain]")) button.disabled = isEdited;
    };
    if (text) form.addEventListener("input", look);
    const name = form.querySelector("[data-reviewer]");
    try { name.value = localStorage.getItem("surefoot-reviewer") || name.value; } catch { /* as it was given */ }
    form.addEventListener("submit", () => {
      try { localStorage.setItem("surefoot-reviewer", name.value); } catch { /* asked again next time */ }
    });
  }

  function onKey(event) {
    if (onHotkey(event)) return;
    const row = event.target.closest?.("[data-rows] > a");
    if (!row || event.metaKey || event.ctrlKey || event.altKey) return;
    const rows = [...row.parentElement.querySelectorAll(":scope > a")];
    const at = rows.indexOf(row);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key];
    if (to === undefined || !rows[to]) return;
    event.preventDefault();
    rows[to].focus();
  }

  function show(part) {
    for (const button of part.querySelectorAll("[data-copy]")) button.hidden = !navigator.clipboard;
  }

  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const label = () => { button.textContent = NAMES[root.dataset.theme || ""]; };
    button.hidden = false;
    label();
    button.addEventListener("click", () => {
      const next = THEMES[(THEMES.indexOf(root.dataset.theme || "") + 1) % THEMES.length];
      put(next);
      label();
      try { localStorage.setItem("surefoot-theme", next); } catch { /* remembered for this page only */ }
    });
    show(document);
    document.querySelectorAll("form[data-review]").forEach(watchReview);
    const form = document.querySelector("form[data-instant]");
    form?.addEventListener("change", () => form.requestSubmit());
    document.addEventListener("click", onClick);
    document.addEventListener("keydown", onKey);
    document.addEventListener("visibilitychange", () => {
      wait = PERIOD;
      if (document.hidden || !region()?.hasAttribute("data-live")) plan(); else look().then(plan);
    });
    addEventListener("popstate", () => go(location.href, false));
    plan();
  });
})();
