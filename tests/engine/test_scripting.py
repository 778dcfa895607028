from __future__ import annotations

from hashlib import sha1
from pathlib import Path

import pytest

from rdbtool.engine import scripts
from rdbtool.engine.dataset import Dataset
from rdbtool.engine.replay.replay import Replay
from rdbtool.engine.replies import CommandError, NotRunError, Status
from rdbtool.engine.scripts import Scripts
from rdbtool.engine.table import execute
from rdbtool.servers.features import SCATTERED_TABLES
from rdbtool.servers.releases import release_named
from tests.servers.harness import SERVERS, ServerError, ServerKind, running, server


def run(dataset: Dataset, *args: str | bytes) -> object:
    return execute(dataset, [a.encode() if isinstance(a, str) else a for a in args])


def error(dataset: Dataset, *args: str | bytes) -> str:
    with pytest.raises(CommandError) as caught:
        run(dataset, *args)
    return caught.value.text


def test_a_script_changes_the_dataset() -> None:
    dataset = Dataset()
    assert (
        run(dataset, "EVAL", "redis.call('set', KEYS[1], ARGV[1]) return redis.call('incr', KEYS[1])", "1", "k", "4")
        == 5
    )
    assert run(dataset, "GET", "k") == b"5"


def test_scripts_are_found_by_their_hash() -> None:
    dataset = Dataset()
    code = b"return redis.call('append', 'k', 'x')"
    digest = sha1(code).hexdigest()
    assert error(dataset, "EVALSHA", digest, "0") == "NOSCRIPT No matching script. Please use EVAL."
    assert run(dataset, "SCRIPT", "LOAD", code) == digest.encode()
    assert run(dataset, "EVALSHA", digest.upper(), "0") == 1
    run(dataset, "SCRIPT", "FLUSH")
    assert error(dataset, "EVALSHA", digest, "0").startswith("NOSCRIPT")


def test_an_error_stops_a_script_and_what_it_did_before_stays() -> None:
    dataset = Dataset()
    text = error(dataset, "EVAL", "redis.call('set','a','x') redis.call('incr','a') redis.call('set','b','1')", "0")
    assert "not an integer" in text
    assert list(dataset.keys) == [b"a"]


def test_pcall_hands_errors_to_the_script() -> None:
    dataset = Dataset()
    code = "local r = redis.pcall('incr','a') if r.err then redis.call('set','b','caught') end"
    run(dataset, "SET", "a", "x")
    run(dataset, "EVAL", code, "0")
    assert run(dataset, "GET", "b") == b"caught"


@pytest.mark.parametrize(
    "code",
    [
        "return os.execute('true')",
        "return io.open('/etc/passwd')",
        "return require('os')",
        "return python.builtins",
        "return debug.getinfo(1)",
        "return loadfile('/etc/passwd')",
        "return package.loaded",
        "return string.dump(function() end)",
        "return newproxy()",
    ],
)
def test_a_script_sees_nothing_of_the_machine(code: str) -> None:
    assert error(Dataset(), "EVAL", code, "0")


def test_a_script_gets_no_python_object_from_an_error() -> None:
    code = "local ok, e = pcall(redis.call, 'nonsense') return type(e) .. ' ' .. e"
    assert run(Dataset(), "EVAL", code, "0") == b"string ERR unknown command 'nonsense'"


def test_a_script_may_not_run_scripts_or_transactions() -> None:
    for name in ("EVAL", "MULTI", "SCRIPT"):
        assert "not allowed from script" in error(Dataset(), "EVAL", f"return redis.call('{name}', 'x', '0')", "0")


@pytest.mark.server
def test_values_are_the_same_in_the_script_as_in_a_server(tmp_path: Path) -> None:
    scripts = [
        ("return {1, 2.9, 'x', false, 'never'}", "0"),
        ("return {1, {2, {'x'}}, redis.status_reply('FINE')}", "0"),
        ("return redis.call('get', 'gone')", "0"),
        ("return redis.call('mget', 'gone', 'n')", "0"),
        ("return tostring(redis.call('get', 'gone'))", "0"),
        ("redis.call('set', 'n', 10/4) return redis.call('get', 'n')", "0"),
        ("redis.call('set', 'n', 3.0) return redis.call('get', 'n')", "0"),
        ("redis.call('set', 'n', 1e20) return redis.call('get', 'n')", "0"),
        ("redis.call('set', 'n', 0.1) return redis.call('get', 'n')", "0"),
        ("return redis.call('set', 'n', 1)", "0"),
        ("return redis.sha1hex('abc')", "0"),
        ("return #KEYS .. '-' .. #ARGV .. ARGV[2]", "1", "k", "a", "b"),
        ('return cjson.decode(\'{"a": [1, 2, {"b": null}]}\').a[2]', "0"),
        ("return cjson.encode({1, 2, 'x'})", "0"),
        ("return redis.call('set', {}, 1)", "0"),
        ("return redis.error_reply('MY wrong')", "0"),
        ("return true", "0"),
        ("return nil", "0"),
        ("return 'a'", "-1"),
        ("return 'a'", "x"),
        ("return 'a'", "3", "k"),
        ("local t = {} for i = 1, 300 do t[i] = i end return redis.call('rpush', 'l', unpack(t))", "0"),
    ]
    kind = server("valkey-9.1")
    dataset = Dataset(release_named(kind.name))
    with running(kind, tmp_path) as real:
        for arguments in scripts:
            (theirs,) = real.send(("EVAL", *arguments))
            if isinstance(theirs, ServerError):
                assert error(dataset, "EVAL", *arguments).split()[0] == str(theirs).split()[0], arguments
            else:
                assert _plain(run(dataset, "EVAL", *arguments)) == theirs, arguments


ONE_LINERS = (Path(__file__).parent / "server_scripts.lua").read_text().splitlines()[1:]


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_scripts_see_what_they_see_in_a_server(kind: ServerKind, tmp_path: Path) -> None:
    release = release_named(kind.name)
    dataset = Dataset(release)
    with running(kind, tmp_path) as real:
        for code in ONE_LINERS:
            (theirs,) = real.send(("EVAL", code, "1", "k", "x"))
            try:
                ours = _plain(run(dataset, "EVAL", code, "1", "k", "x"))
            except NotRunError as e:
                hangs_on_order = release.does(SCATTERED_TABLES) and "the order in which Valkey 9" in e.text
                assert hangs_on_order or "cjson.new" in code, code
            except CommandError:
                assert isinstance(theirs, ServerError), code
            else:
                assert not isinstance(theirs, ServerError), code
                assert ours == theirs or theirs is None or b"userdata" in str(theirs).encode(), code


def test_a_database_that_a_script_selects_is_its_own() -> None:
    dataset = Dataset()
    run(dataset, "EVAL", "redis.call('select',3) redis.call('set','k3','1')", "0")
    run(dataset, "SET", "k0", "1")
    assert list(dataset.dbs[0]) == [b"k0"]
    assert list(dataset.dbs[3]) == [b"k3"]


@pytest.mark.parametrize(
    "code",
    [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "local f = coroutine.wrap(function() while true do end end) pcall(f) while true do end",
        "return string.find(string.rep('a', 40), string.rep('a-', 30) .. 'b')",
    ],
)
def test_a_script_that_does_not_end_is_ended_and_the_replay_goes_on(code: str) -> None:
    dataset = Dataset()
    dataset.scripts = Scripts(dataset, seconds=0.5)
    replay = Replay(dataset)
    replay.run([(0, [b"EVAL", code.encode(), b"0"]), (9, [b"EVAL", b"redis.call('set','a','1')", b"0"])])
    assert list(dataset.keys) == [b"a"]
    (finding,) = replay.findings.items
    assert (finding.code, finding.offset) == ("not-run", 0)
    assert "did not end in 0.5 s" in finding.message


@pytest.mark.parametrize(
    "code",
    [
        "return loadstring(string.char(27) .. 'LuaQ')()",
        "return load(function() return nil end)() or loadstring('\\27Lua')()",
        "local t = {} while true do t[#t + 1] = string.rep('x', 1e8 + #t) end",
        "local s = 'x' while true do s = s .. s end",
        "local t = {} t[1] = t return t",
        "local t = {} t[1] = t return cjson.encode(t)",
        "local function f() return f() + 1 end return f()",
        "local t = {} for i = 1, 100000 do t = {t} end return t",
    ],
)
def test_a_hostile_script_is_an_error_and_the_next_one_runs(code: str) -> None:
    dataset = Dataset()
    with pytest.raises(CommandError):
        run(dataset, "EVAL", code, "0")
    assert run(dataset, "EVAL", "return redis.call('incr', 'n')", "0") == 1


def test_what_a_script_returns_may_be_nested_deeply() -> None:
    dataset = Dataset()
    code = "local t = {} for i = 1, 900 do t = {t} end redis.call('set', KEYS[1], 'v') return t"
    assert isinstance(run(dataset, "EVAL", code, "1", "k"), list)
    assert run(dataset, "GET", "k") == b"v"
    assert "reached lua stack limit" in error(dataset, "EVAL", "local t = {} t[1] = t return t", "0")


def test_bytecode_is_refused_whole() -> None:
    assert "bytecode" in error(Dataset(), "EVAL", b"\x1bLuaQ" + bytes(60), "0")


@pytest.mark.parametrize(
    "code",
    ["return redis.call('keys', '*')", "return cjson.new()", "return redis.setresp(3)", "return redis.REDIS_VERSION"],
)
def test_what_is_not_there_for_a_script_is_said_and_never_made_up(code: str) -> None:
    with pytest.raises(NotRunError) as caught:
        run(Dataset(release_named("redis-7.4")), "EVAL", code, "0")
    assert "the script needs" in caught.value.text


@pytest.mark.parametrize(
    ("code", "hangs"),
    [
        ("return cjson.encode({a=1,b=2})", True),
        ("return cmsgpack.pack({a=1,b=2})", True),
        ("for k in pairs({a=1,b=2}) do redis.call('rpush', 'l', k) end", True),
        ("return (next({a=1,b=2}))", True),
        ("return pcall(pairs, {a=1,b=2})", True),
        ("return cjson.encode({a=1}) .. cjson.encode({1,2,3}) .. cjson.encode({{x=1},{y=2}})", False),
        ("local n = 0 for k, v in pairs({1,2,3,x=4}) do n = n + v end return n", False),
        ("local t = {a=1} for k, v in next, t do return k .. #cmsgpack.pack(t) end", False),
    ],
)
def test_the_order_of_tables_in_valkey_9_is_not_made_up(code: str, hangs: bool) -> None:
    for name in ("redis-7.0", "valkey-8.1"):
        run(Dataset(release_named(name)), "EVAL", code, "0")
    dataset = Dataset(release_named("valkey-9.1"))
    if not hangs:
        assert run(dataset, "EVAL", code, "0") is not None
        return
    with pytest.raises(NotRunError) as caught:
        run(dataset, "EVAL", code, "0")
    assert "the order in which Valkey 9 keeps the keys of a table" in caught.value.text
    assert not dataset.keys


def test_numbers_that_are_none_are_written_as_by_a_server() -> None:
    dataset = Dataset()
    run(dataset, "EVAL", "redis.call('set', 'g', 0/0) redis.call('set', 'h', -1/0)", "0")
    assert (run(dataset, "GET", "g"), run(dataset, "GET", "h")) == (b"-nan", b"-inf")


def test_the_interpreter_ends_with_the_dataset() -> None:
    dataset = Dataset()
    run(dataset, "EVAL", "return 1", "0")
    scripts = dataset.scripts
    assert isinstance(scripts, Scripts)
    process = scripts._process
    assert process is not None
    scripts.close()
    assert process._process.poll() is not None


def _plain(value: object) -> object:
    if isinstance(value, Status):
        return value.text
    return [_plain(item) for item in value] if isinstance(value, list) else value


def test_without_lupa_a_script_is_a_finding_and_the_replay_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scripts, "is_available", lambda: False)
    replay = Replay(Dataset())
    replay.run([(0, [b"EVAL", b"return 1", b"0"]), (10, [b"SET", b"a", b"1"])])
    assert list(replay.dataset.keys) == [b"a"]
    (finding,) = replay.findings.items
    assert (finding.code, finding.offset) == ("not-run", 0)
    assert "pip install 'rdbtoolkit[lua]'" in finding.message


def test_functions_are_kept_as_data() -> None:
    dataset = Dataset()
    code = "#!lua name=mylib\nredis.register_function('f', function() return 1 end)"
    assert run(dataset, "FUNCTION", "LOAD", code) == b"mylib"
    assert error(dataset, "FUNCTION", "LOAD", code) == "ERR Library 'mylib' already exists"
    assert run(dataset, "FUNCTION", "LOAD", "REPLACE", code + " ") == b"mylib"
    assert dataset.functions == {b"mylib": code.encode() + b" "}
    assert error(dataset, "FUNCTION", "DELETE", "other") == "ERR Library not found"
    run(dataset, "FUNCTION", "DELETE", "mylib")
    assert dataset.functions == {}


@pytest.mark.server
@pytest.mark.parametrize(
    "code",
    [
        "",
        "return 1",
        "#!lua name=x",
        "#!lua\n",
        "#!lua name=a name=b\n",
        "#!lua other=1\n",
        "#!js name=a\n",
        "#!lua name=a-b\n",
    ],
)
def test_headers_of_libraries_are_refused_as_by_a_server(code: str, tmp_path: Path) -> None:
    for kind in [kind for kind in SERVERS if kind.name != "redis-6.2"]:
        (tmp_path / kind.name).mkdir()
        with running(kind, tmp_path / kind.name) as real:
            (theirs,) = real.send(("FUNCTION", "LOAD", code))
        assert error(Dataset(release_named(kind.name)), "FUNCTION", "LOAD", code) == str(theirs)


@pytest.mark.server
def test_a_dump_of_functions_is_restored(tmp_path: Path) -> None:
    with running(server("valkey-9.1"), tmp_path) as real:
        for name in ("one", "two"):
            real.execute("FUNCTION", "LOAD", f"#!lua name={name}\nredis.register_function('{name}', function() end)")
        payload = real.execute("FUNCTION", "DUMP")
    assert isinstance(payload, bytes)
    dataset = Dataset()
    run(dataset, "FUNCTION", "RESTORE", payload)
    assert sorted(dataset.functions) == [b"one", b"two"]
    assert error(dataset, "FUNCTION", "RESTORE", payload).endswith("already exists")
    run(dataset, "FUNCTION", "RESTORE", payload, "REPLACE")
    run(dataset, "FUNCTION", "FLUSH")
    assert not dataset.functions
    assert (
        error(dataset, "FUNCTION", "RESTORE", payload[:-1] + b"x") == "ERR DUMP payload version or checksum are wrong"
    )
    assert error(dataset, "FUNCTION", "RESTORE", payload, "OTHER").startswith("ERR Wrong restore policy given")
