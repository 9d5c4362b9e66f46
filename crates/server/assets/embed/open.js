// The token is behind the `#`, which no server, log or other page is told. It is brought to the server in a body, so that
// the answer can say whose pages may frame it.
const token = new URLSearchParams(location.hash.slice(1)).get("token");
if (token) {
  const form = document.createElement("form");
  const field = document.createElement("input");
  form.method = "post";
  form.action = location.pathname + location.search;
  field.type = "hidden";
  field.name = "token";
  field.value = token;
  form.append(field);
  document.body.append(form);
  form.submit();
} else {
  document.getElementById("said").hidden = false;
}
