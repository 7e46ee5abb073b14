'use strict';
(() => {
  const $ = (selector, from) => [...(from || document).querySelectorAll(selector)];
  const tools = document.getElementById('tools');
  const search = document.getElementById('search');
  const verdict = document.getElementById('verdict');
  const level = document.getElementById('level');
  const count = document.getElementById('count');
  const cases = $('[data-v]').map(element => ({
    element, verdict: element.dataset.v, level: element.dataset.l,
    text: $('.k', element).map(part => part.textContent).join(' ').toLowerCase(),
  }));
  tools.hidden = false;

  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const one of cases) {
      const fits = (!verdict.value || verdict.value === one.verdict) && (!level.value || level.value === one.level) &&
        words.every(word => one.text.includes(word));
      one.element.hidden = !fits;
      shown += fits;
    }
    const any = words.length > 0 || verdict.value || level.value;
    for (const group of $('.group')) {
      const left = $('[data-v]', group).some(one => !one.hidden);
      group.hidden = !left;
      if (group.tagName === 'DETAILS') group.open = Boolean(any && left);
    }
    for (const section of $('.filtered')) section.hidden = !$('[data-v]', section).some(one => !one.hidden);
    count.textContent = shown + ' of ' + cases.length + (cases.length === 1 ? ' case' : ' cases');
  };
  for (const control of [search, verdict, level]) control.addEventListener('input', filter);
  filter();

  // What a link points at is shown, whatever is filtered.
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    if (target.closest('[hidden]')) {
      search.value = verdict.value = level.value = '';
      filter();
    }
    const fold = target.closest('details');
    if (fold) fold.open = true;
    target.scrollIntoView();
  };
  addEventListener('hashchange', reveal);
  if (location.hash) reveal();

  addEventListener('keydown', event => {
    if (event.key === '/' && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) {
      event.preventDefault();
      search.focus();
    }
    if (event.key === 'Escape' && document.activeElement === search) {
      search.value = '';
      filter();
    }
  });

  const theme = document.getElementById('theme');
  const themes = ['', 'light', 'dark'];
  let chosen = '';
  try {
    chosen = localStorage.getItem('hookanvil-theme') || '';
  } catch (error) { /* a page that was opened from a file may have no storage */ }
  const wear = () => {
    if (!themes.includes(chosen)) chosen = '';
    if (chosen) document.documentElement.dataset.theme = chosen;
    else delete document.documentElement.dataset.theme;
    theme.textContent = 'Theme: ' + (chosen || 'as the system');
  };
  theme.addEventListener('click', () => {
    chosen = themes[(themes.indexOf(chosen) + 1) % themes.length];
    try {
      localStorage.setItem('hookanvil-theme', chosen);
    } catch (error) { /* it lasts as long as the page */ }
    wear();
  });
  wear();

  for (const button of $('.copy')) {
    button.hidden = false;
    button.addEventListener('click', async () => {
      const code = button.parentElement.querySelector('code');
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = 'Copied';
      } catch (error) { // without leave to write, it is selected at least
        getSelection().selectAllChildren(code);
        button.textContent = 'Selected';
      }
    });
  }
})();
