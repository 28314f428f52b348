"""The exporter's closed label values in a reader's words, with one colour each on every panel."""

from panels import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, YELLOW

Words = dict[str, tuple[str, str]]

CULPRITS: Words = {
    "server_idle_timeout": ("server: wait_timeout", BLUE),
    "server_kill": ("server: KILL", PURPLE),
    "server_restart": ("server: restart", GREY),
    "proxy_idle_timeout": ("proxy: idle timeout", YELLOW),
    "network_idle_timeout": ("network: idle timeout", ORANGE),
    "network_state_loss": ("network: state lost", "super-light-orange"),
    "mass_disconnect": ("many closed at once", "super-light-blue"),
    "lifetime_limit": ("a maximum age", RED),
    "unknown": ("not decided", GREY),
}

LAYER_NAMES: Words = {"server": ("server", BLUE), "proxy": ("proxy", YELLOW), "network": ("network", ORANGE), "unknown": ("not decided", GREY)}

# Where lines of layers cross points of deaths, which are red, and the idle limit, which is orange and green.
LAYERS = {"pool": PURPLE, "kernel": GREY, "network": "super-light-blue", "proxy": YELLOW, "server": BLUE}

RULES: Words = {
    "path_shorter_than_server": ("the path kills before wait_timeout", ORANGE),
    "pool_outlives_path": ("a pool lends connections idle past the limit", ORANGE),
    "pool_never_recycles": ("a pool never recycles connections", ORANGE),
    "pool_recycles_too_eagerly": ("the pool replaces connections far too often", YELLOW),
    "session_held_past_recycle": ("sessions held or leaked past the pool's recycle", ORANGE),
    "sessions_at_risk": ("sessions whose next query fails", RED),
    "keepalive_too_late": ("the kernel's TCP keepalive starts after the limit", ORANGE),
    "keepalive_ineffective": ("TCP keepalive does not help here", YELLOW),
    "session_timeout_not_global": ("sessions get another wait_timeout than the global one", YELLOW),
    "declared_not_measured": ("a declared timeout is not what is measured", YELLOW),
    "server_outlives_client_stall": ("silent deaths, and the pool waits without end", ORANGE),
    "ghosts_on_server": ("the server keeps sessions of dead clients", YELLOW),
    "lifetime_limit": ("connections die at a fixed age, whatever they do", ORANGE),
    "paths_disagree": ("two paths to one server have different limits", YELLOW),
    "idle_transaction_ends_first": ("the server ends sessions that rest in a transaction", ORANGE),
    "application_path_differs": ("applications live or die where canaries do not", YELLOW),
    "undeclared_pool": ("sessions grow old, and no pool is declared", BLUE),
    "pool_not_as_declared": ("the pool behaves otherwise than declared", YELLOW),
}

# What may be wrong with a path, the worst first: a number for the one column that says it, a rule or a state, words, a colour.
WRONG: list[tuple[int, str, str, str]] = [
    (100, "unreachable", "the server does not answer", RED),
    (90, "suspended", "not measured: no canary is launched", RED),
    *(
        (80 - place, rule, *RULES[rule])
        for place, rule in enumerate(
            [
                "sessions_at_risk", "pool_never_recycles", "pool_outlives_path", "lifetime_limit", "idle_transaction_ends_first",
                "server_outlives_client_stall", "session_held_past_recycle", "path_shorter_than_server", "undeclared_pool",
                "application_path_differs", "pool_not_as_declared", "declared_not_measured", "keepalive_too_late", "ghosts_on_server",
                "paths_disagree", "session_timeout_not_global", "pool_recycles_too_eagerly", "keepalive_ineffective",
            ]
        )
    ),
]

# What is said of a path that nothing contradicts, by what is known of it: a number below those of WRONG, words, a colour.
QUIET: dict[str, tuple[int, str, str]] = {
    "limit": (5, "a limit; nothing contradicts it", BLUE),
    "unconfirmed": (4, "a limit that is not confirmed yet", BLUE),
    "elsewhere": (3, "no limit; another path to its server has one", GREEN),
    "survived": (2, "no limit found so far", GREEN),
    "unknown": (0, "nothing is known yet", GREY),
}

# Rules about a declared pool, whose series name it.
OF_POOLS = {"pool_outlives_path", "pool_never_recycles", "pool_recycles_too_eagerly", "session_held_past_recycle", "server_outlives_client_stall", "pool_not_as_declared"}

SUSPENSIONS: Words = {
    "connect_failing": ("connects fail", RED),
    "connection_limit": ("a connection limit", ORANGE),
    "low_headroom": ("few connections left on the server", ORANGE),
    "ghosts": ("sessions of dead canaries fill the budget", ORANGE),
}

YES_NO: Words = {"1": ("yes", GREEN), "0": ("no", ORANGE)}
ANSWERS: Words = {"1": ("yes", GREEN), "0": ("no", RED)}
MEASURING: Words = {"0": ("measuring", GREEN), "1": ("suspended", RED)}
HOLDS: Words = {"1": ("holds", ORANGE), "0": ("does not hold", GREEN)}
