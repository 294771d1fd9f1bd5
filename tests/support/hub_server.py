"""A small hub on 127.0.0.1, as far as the client huggingface_hub needs one."""

import base64
import hashlib
import json
import re
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

LARGE = (".safetensors", ".ckpt")
NAME = r"(?P<repo>[\w.-]+/[\w.-]+)"


@dataclass
class Repo:
    name: str = "me/name"
    private: bool = False
    # hash of a commit to its files, oldest first
    commits: dict = field(default_factory=dict)
    tags: dict = field(default_factory=dict)

    @property
    def head(self):
        return list(self.commits)[-1]

    def commit(self, files):
        seed = f"{len(self.commits)}{sorted(files)}".encode()
        self.commits[hashlib.sha1(seed).hexdigest()] = files

    def resolve(self, revision):
        revision = self.tags.get(revision, revision)
        revision = self.head if revision == "main" else revision
        return revision if revision in self.commits else None


@dataclass
class Failure:
    """What goes wrong with requests to paths that match, a few times."""

    method: str
    path: str
    status: int = 0
    times: int = 1
    drop: bool = False
    # carry the request out before the answer is lost
    late: bool = False


class Hub:
    def __init__(self):
        self.repos = {}
        self.stored = {}
        self.requests = []
        self.failures = []
        self.corrupt = {}
        self.claimed_sizes = {}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.hub = self
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(
            target=self.server.serve_forever, args=(0.01,), daemon=True
        )
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def add(self, repo_id, files, private=False):
        repo = self.repos.setdefault(repo_id, Repo(repo_id, private))
        repo.commit(dict(files))
        return repo

    def fail(self, method, path, status=0, times=1, **options):
        self.failures.append(Failure(method, path, status, times, **options))

    def asked(self, method, path):
        return [
            target
            for verb, target in self.requests
            if verb == method and re.search(path, target)
        ]


def start_hub(folder, monkeypatch):
    """A hub that the real client asks, with nothing of the user's."""
    server = Hub()
    for name, value in {
        "HF_HUB_DISABLE_XET": True,
        "HF_HUB_CACHE": str(folder / "cache"),
        "HF_TOKEN_PATH": str(folder / "token"),
        # what HF_ENDPOINT sets when the client is imported
        "ENDPOINT": server.url,
        "HUGGINGFACE_CO_URL_TEMPLATE": server.url
        + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_DISABLE_PROGRESS_BARS": True,
    }.items():
        monkeypatch.setattr("huggingface_hub.constants." + name, value)
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    return server


def git_hash(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    @property
    def hub(self):
        return self.server.hub

    def do_HEAD(self):
        self.handle_request()

    do_GET = do_POST = do_PUT = do_HEAD

    def body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, value, status=200, **headers):
        content = value if isinstance(value, bytes) else json.dumps(value)
        content = content if isinstance(content, bytes) else content.encode()
        self.send_response(status)
        headers.setdefault("Content-Length", str(len(content)))
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def refuse(self, status, code="", message="no"):
        self.answer(
            {"error": message},
            status,
            **{"X-Error-Code": code, "X-Error-Message": message},
        )

    def handle_request(self):
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path))
        for failure in self.hub.failures:
            matches = re.search(failure.path, path)
            if failure.method == self.command and matches and failure.times:
                failure.times -= 1
                return self.go_wrong(failure, path)
        return self.route(path, self.body())

    def go_wrong(self, failure, path):
        if failure.late:
            # the work is done, its answer never arrives
            answer, self.answer = self.answer, lambda *a, **k: None
            self.route(path, self.body())
            self.answer = answer
        elif failure.drop:
            if self.command in ("POST", "PUT"):
                self.rfile.read1(64)  # a first part arrives
        else:
            self.body()
            return self.refuse(failure.status)
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)
        return None

    def route(self, path, body):
        for (method, pattern), action in ROUTES.items():
            match = re.fullmatch(pattern, path)
            if match and method in (self.command, "*"):
                names = match.groupdict()
                if "repo" in names:
                    repo = self.hub.repos.get(names.pop("repo"))
                    if repo is None:
                        return self.refuse(404, "RepoNotFound")
                    names["repo"] = repo
                if "revision" in names:
                    revision = names["repo"].resolve(names["revision"])
                    if revision is None:
                        return self.refuse(404, "RevisionNotFound")
                    names["revision"] = revision
                return action(self, body, **names)
        return self.refuse(404)

    # what the hub does ---------------------------------------------------

    def create(self, body):
        given = json.loads(body)
        name = f"{given['organization'] or 'me'}/{given['name']}"
        if name in self.hub.repos:
            url = f"{self.hub.url}/{name}"
            return self.answer({"url": url, "error": "exists"}, 409)
        repo = Repo(name, given.get("visibility") == "private")
        repo.commit({".gitattributes": b"*.ckpt filter=lfs"})
        self.hub.repos[name] = repo
        return self.answer({"url": f"{self.hub.url}/{name}", "name": name})

    def validate(self, body):
        self.answer({"errors": [], "warnings": []})

    def info(self, body, repo, revision=None):
        self.answer(
            {
                "id": repo.name,
                "sha": revision or repo.head,
                "private": repo.private,
                "siblings": [],
                "tags": [],
            }
        )

    def preupload(self, body, repo, revision):
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs"
                if file["path"].endswith(LARGE)
                else "regular",
                "shouldIgnore": False,
                "oid": self.remote_hash(repo, revision, file["path"]),
            }
            for file in json.loads(body)["files"]
        ]
        self.answer({"files": files})

    def remote_hash(self, repo, revision, path):
        content = repo.commits[revision].get(path)
        if content is None:
            return None
        if path.endswith(LARGE):
            return hashlib.sha256(content).hexdigest()
        return git_hash(content)

    def batch(self, body, repo):
        objects = json.loads(body)["objects"]
        for item in objects:
            if item["oid"] not in self.hub.stored:
                href = f"{self.hub.url}/lfs/{item['oid']}"
                item["actions"] = {"upload": {"href": href}}
        self.answer({"transfer": "basic", "objects": objects})

    def store(self, body, oid):
        if hashlib.sha256(body).hexdigest() != oid:
            return self.refuse(400)
        self.hub.stored[oid] = body
        return self.answer({})

    def commit(self, body, repo, revision):
        files = dict(repo.commits[revision])
        for line in body.decode().splitlines():
            operation = json.loads(line)
            value = operation["value"]
            if operation["key"] == "file":
                content = base64.b64decode(value["content"])
            elif operation["key"] == "lfsFile":
                content = self.hub.stored[value["oid"]]
            else:
                continue
            change = self.hub.corrupt.get(value["path"], lambda x: x)
            files[value["path"]] = change(content)
        repo.commit(files)
        url = f"{self.hub.url}/{repo.name}/commit/{repo.head}"
        self.answer({"commitUrl": url, "commitOid": repo.head, "success": True})

    def refs(self, body, repo):
        main = {"name": "main", "ref": "refs/heads/main"}
        marks = [
            {"name": name, "ref": f"refs/tags/{name}", "targetCommit": commit}
            for name, commit in repo.tags.items()
        ]
        self.answer(
            {
                "branches": [{**main, "targetCommit": repo.head}],
                "converts": [],
                "tags": marks,
            }
        )

    def tag(self, body, repo, revision):
        name = json.loads(body)["tag"]
        if name in repo.tags:
            return self.refuse(409, message="Tag reference exists already")
        repo.tags[name] = revision
        return self.answer({})

    def entry(self, path, content):
        size = self.hub.claimed_sizes.get(path, len(content))
        entry = {
            "type": "file",
            "path": path,
            "size": size,
            "oid": git_hash(content),
        }
        if path.endswith(LARGE):
            digest = hashlib.sha256(content).hexdigest()
            entry["lfs"] = {"oid": digest, "size": size, "pointerSize": 130}
        return entry

    def tree(self, body, repo, revision):
        files = repo.commits[revision].items()
        self.answer([self.entry(path, content) for path, content in files])

    def paths_info(self, body, repo, revision):
        files = repo.commits[revision]
        paths = parse_qs(body.decode())["paths"]
        self.answer([self.entry(p, files[p]) for p in paths if p in files])

    def resolve(self, body, repo, revision, file):
        content = repo.commits[revision].get(file)
        if content is None:
            return self.refuse(404, "EntryNotFound")
        kind = hashlib.sha256(content).hexdigest()
        size = self.hub.claimed_sizes.get(file, len(content))
        if self.command == "GET":
            size = len(content)
        return self.answer(
            content,
            **{
                "ETag": f'"{kind}"',
                "X-Repo-Commit": revision,
                "Content-Length": str(size),
            },
        )


ROUTES = {
    ("POST", "/api/repos/create"): Handler.create,
    ("POST", "/api/validate-yaml"): Handler.validate,
    ("GET", f"/api/models/{NAME}"): Handler.info,
    ("GET", f"/api/models/{NAME}/revision/(?P<revision>.+)"): Handler.info,
    ("GET", f"/api/models/{NAME}/refs"): Handler.refs,
    (
        "POST",
        f"/api/models/{NAME}/preupload/(?P<revision>.+)",
    ): Handler.preupload,
    ("POST", f"/api/models/{NAME}/commit/(?P<revision>.+)"): Handler.commit,
    ("POST", f"/api/models/{NAME}/tag/(?P<revision>.+)"): Handler.tag,
    (
        "POST",
        f"/api/models/{NAME}/paths-info/(?P<revision>.+)",
    ): Handler.paths_info,
    ("GET", f"/api/models/{NAME}/tree/(?P<revision>[^/]+)"): Handler.tree,
    ("POST", rf"/{NAME}\.git/info/lfs/objects/batch"): Handler.batch,
    ("PUT", r"/lfs/(?P<oid>\w+)"): Handler.store,
    (
        "*",
        f"/{NAME}/resolve/(?P<revision>[^/]+)/(?P<file>.+)",
    ): Handler.resolve,
}
