// The calendar over the page's own list: wall times of the company, whatever zone the browser is in.
(() => {
  const place = document.getElementById("calendar");
  const list = document.getElementById("calendar-list");
  if (!place || !window.EventCalendar) return;
  const given = place.dataset;

  const icon = (name) => {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("class", "icon");
    svg.setAttribute("aria-hidden", "true");
    const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
    use.setAttribute("href", `${given.icons}#${name}`);
    svg.append(use);
    return svg;
  };
  const part = (text, className) => {
    const span = document.createElement("span");
    span.className = className;
    span.textContent = text;
    return span;
  };
  // A link, so that Tab and Enter work; what colour says, icon and text say too.
  const draw = ({ event }) => {
    const more = event.extendedProps;
    const link = document.createElement("a");
    link.href = more.url;
    link.className = "calendar-link";
    link.title = `${more.time} · ${event.title} · ${more.service} · ${more.sync}`;
    const sync = part(more.sync, "visually-hidden");
    // A week's columns are narrow: there the start alone is seen, and the whole time is heard.
    const isDay = given.view === "day";
    const line = part("", "calendar-line");
    line.append(part(isDay ? more.time : more.time.split(" ")[0], "calendar-when"), part(event.title, "calendar-who"));
    if (!isDay) line.append(part(` ${more.time}`, "visually-hidden"));
    link.append(icon(more.icon), sync, line, part(more.service, "calendar-what"));
    if (more.is_cancelled) link.append(part(more.status, "calendar-what"));
    return { domNodes: [link] };
  };
  const load = async ({ start, end }) => {
    const day = (at) => `${at.getFullYear()}-${String(at.getMonth() + 1).padStart(2, "0")}-${String(at.getDate()).padStart(2, "0")}`;
    const address = new URL(given.events, location.href);
    address.searchParams.set("from", day(start));
    address.searchParams.set("to", day(end));
    const answer = await fetch(address, { headers: { Accept: "application/json" } });
    if (!answer.ok || answer.redirected) throw new Error(`status ${answer.status}`);
    const { events } = await answer.json();
    return events.map((each) => ({
      id: each.id, start: each.start, end: each.end, title: each.title,
      classNames: [`state-${each.colour}`, ...(each.is_cancelled ? ["calendar-gone"] : [])],
      extendedProps: each,
    }));
  };
  // Where an hour is empty: a new appointment there.
  const begin = ({ dateStr }) => {
    const address = new URL(given.new, location.href);
    address.searchParams.set("day", dateStr.slice(0, 10));
    address.searchParams.set("time", dateStr.slice(11, 16));
    location.assign(address);
  };
  const failed = () => {
    place.hidden = true;
    list.hidden = false;
    list.prepend(Object.assign(part(given.failed, "notice"), { role: "status" }));
  };

  const now = given.now.slice(11, 16);
  const isNarrow = matchMedia("(max-width: 767.98px)").matches;
  if (given.view === "week" && isNarrow) return; // seven columns can't be read there: the list can
  place.hidden = false;
  list.hidden = true;
  // Its grid calls itself a table whose rows hold articles, which is no table to a screen reader:
  // what counts are the links in it, and that it can be scrolled by keyboard.
  const plain = () => {
    for (const part of place.querySelectorAll("[role], [aria-colindex], [aria-rowindex], [aria-colspan]"))
      for (const name of ["role", "aria-colindex", "aria-rowindex", "aria-colspan"]) part.removeAttribute(name);
    place.querySelector(".ec-main")?.setAttribute("tabindex", "0");
  };
  new MutationObserver(plain).observe(place, { childList: true, subtree: true });
  EventCalendar.create(place, {
    view: given.view === "day" ? "timeGridDay" : "timeGridWeek",
    date: given.day,
    firstDay: 1,
    locale: document.documentElement.lang,
    headerToolbar: { start: "", center: "", end: "" },
    allDaySlot: false,
    nowIndicator: false,
    editable: false,
    eventStartEditable: false,
    eventDurationEditable: false,
    selectable: false,
    slotEventOverlap: false,
    slotDuration: "00:30",
    slotHeight: 34,
    scrollTime: now < "10:00" ? "06:00:00" : "07:00:00",
    height: "min(70vh, 46rem)",
    slotLabelFormat: { hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
    dayHeaderFormat: { weekday: "short", day: "numeric", month: "numeric" },
    eventContent: draw,
    eventSources: [{ events: (info, done, broken) => { load(info).then(done).catch((error) => { failed(); broken(error); }); } }],
    ...(given.new ? { dateClick: begin } : {}),
    highlightedDates: [given.now.slice(0, 10)],
  });
})();
