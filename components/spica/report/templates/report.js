"use strict";
(() => {
  const viewer = document.getElementById("viewer");
  const form = viewer.querySelector(".filters");
  const articles = [...viewer.querySelectorAll("article")];
  const buttons = [...viewer.querySelectorAll("[data-case]")];
  let current = -1;

  const passes = (article) => {
    const { benchmark, steps, modality, arm, outcome } = Object.fromEntries(new FormData(form));
    const right = article.dataset.right.split(" ");
    const outcomes = {
      "": true,
      right: right.includes(arm),
      wrong: !right.includes(arm),
      gained: right.includes(arm) && !right.includes("base"),
      lost: !right.includes(arm) && right.includes("base"),
    };
    return (!benchmark || article.dataset.benchmark === benchmark) && (!steps || article.dataset.steps === steps)
      && (!modality || article.dataset.modality === modality) && outcomes[outcome];
  };
  const listed = () => buttons.map((_, i) => i).filter((i) => !buttons[i].parentElement.hidden);
  const show = (index) => {
    current = index;
    articles.forEach((article, i) => { article.hidden = i !== index; });
    buttons.forEach((button, i) => i === index ? button.setAttribute("aria-current", "true") : button.removeAttribute("aria-current"));
    viewer.querySelector(".nothing").hidden = index >= 0;
    if (index < 0) return;
    const list = viewer.querySelector(".list"), item = buttons[index].parentElement;
    if (item.offsetTop < list.scrollTop + list.offsetTop || item.offsetTop + item.offsetHeight > list.scrollTop + list.offsetTop + list.clientHeight)
      list.scrollTop = item.offsetTop - list.offsetTop - list.clientHeight / 3;
  };
  const filter = () => {
    buttons.forEach((button, i) => { button.parentElement.hidden = !passes(articles[i]); });
    const left = listed();
    viewer.querySelector(".count").textContent = `${left.length} of ${articles.length} cases`;
    show(left.includes(current) ? current : left.length ? left[0] : -1);
  };
  const compare = () => {
    const chosen = new Set([...viewer.querySelectorAll("[name=show]:checked")].map((box) => box.value));
    viewer.querySelectorAll(".response").forEach((response) => { response.hidden = !chosen.has(response.dataset.arm); });
  };
  const step = (by) => {
    const left = listed();
    if (left.length) show(left[(left.indexOf(current) + by + left.length) % left.length]);
  };
  form.addEventListener("change", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  viewer.querySelectorAll("[name=show]").forEach((box) => box.addEventListener("change", compare));
  viewer.querySelectorAll("[data-step]").forEach((button) => button.addEventListener("click", () => step(Number(button.dataset.step))));
  buttons.forEach((button, i) => button.addEventListener("click", () => show(i)));
  viewer.querySelector(".panes").addEventListener("keydown", (event) => {
    const by = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (by && event.target.matches("button")) { event.preventDefault(); step(by); buttons[current].focus(); }
  });
  // The story first: a visual question of several steps that the base gets wrong and the thinker gets right.
  const telling = articles.findIndex(({ dataset: { right, modality, steps } }) =>
    modality === "visual" && Number(steps) >= 4 && right.split(" ").includes(viewer.dataset.thinker) && !right.split(" ").includes("base"));
  current = telling;
  compare();
  filter();
  if (telling >= 0) { const open = articles[telling].querySelector(`[data-arm="${viewer.dataset.thinker}"] details`); if (open) open.open = true; }

  const graph = document.querySelector(".lineage");
  graph.querySelectorAll(".node").forEach((node) => {
    const edges = [...graph.querySelectorAll(".edge")].filter((edge) => [edge.dataset.from, edge.dataset.to].includes(node.dataset.task));
    const point = (on) => { graph.classList.toggle("pointed", on); edges.forEach((edge) => edge.classList.toggle("on", on)); };
    node.addEventListener("mouseenter", () => point(true));
    node.addEventListener("mouseleave", () => point(false));
  });
})();
