// The counter's movements and the intercom: whichever of the two is on the page.
(function () {
  function add(list, text) {
    var item = document.createElement("li");
    item.textContent = text;
    list.insertBefore(item, list.firstChild);
    while (list.children.length > 30) { list.removeChild(list.lastChild); }
  }

  var clock = document.getElementById("clock");
  if (clock) {
    var events = new EventSource("/counter/events");
    events.addEventListener("clock", function (event) { clock.textContent = event.data; });
    events.addEventListener("movement", function (event) {
      add(document.getElementById("movements"), event.data);
    });
  }

  var talk = document.getElementById("talk");
  if (talk) {
    var heard = document.getElementById("heard"), words = document.getElementById("words");
    var line = new WebSocket(location.origin.replace(/^http/, "ws") + "/intercom/line");
    line.onmessage = function (event) {
      var what = JSON.parse(event.data);
      add(heard, what.said === null ? what.who + " is on the line" : what.who + ": " + what.said);
    };
    line.onclose = function () { add(heard, "The line is closed. Open the page again to go on."); };
    talk.onsubmit = function (event) {
      event.preventDefault();
      if (words.value && line.readyState === 1) { line.send(words.value); words.value = ""; }
    };
  }
})();
