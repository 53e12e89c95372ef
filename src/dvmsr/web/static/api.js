// What the server is asked for. Every failure is an Error whose message is a sentence for people.

export async function ask(method, path, body) {
  const response = await fetch(path, {
    method,
    body: body === undefined ? undefined : JSON.stringify(body),
    headers: body === undefined ? {} : { "Content-Type": "application/json" },
  });
  if (!response.ok) throw new Error(await sentence(response));
  return response.status === 204 ? null : response.json();
}

export function picturePath(picture, rest = "") {
  return `api/pictures/${picture.id}${rest}`;
}

// By XMLHttpRequest, as fetch does not tell how much has been sent.
export function upload(file, { onProgress, signal }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `api/pictures?name=${encodeURIComponent(file.name)}`);
    request.responseType = "json";
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onload = () => {
      if (request.status === 201) resolve(request.response);
      else reject(new Error(request.response?.error ?? `the server answered ${request.status}`));
    };
    request.onerror = () =>
      reject(new Error(`${file.name} could not be sent; is the page's program still running?`));
    request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}

async function sentence(response) {
  try {
    return (await response.json()).error;
  } catch {
    return `the server answered ${response.status}`;
  }
}
