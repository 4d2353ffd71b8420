"""Which grammar reads which file, and what counts as a declaration in it. Data only; loads no grammar.

In each query the declaration is captured by its kind and its name as `@name`; comments and documentation strings as
`@comment`. Node names come from the grammars' own `node-types.json`.
"""

from typing import NamedTuple


class Language(NamedTuple):
    """`module` and `function` lead to the grammar (`tree_sitter_typescript.language_tsx`)."""

    name: str
    module: str
    query: str
    function: str = "language"


_PYTHON = """
(class_definition name: (identifier) @name) @class
(function_definition name: (identifier) @name) @function
(module (expression_statement (assignment left: (identifier) @name)) @variable)
(class_definition body: (block (expression_statement (assignment left: (identifier) @name)) @variable))
(comment) @comment
(expression_statement . (string) @comment .)
"""

_JAVASCRIPT_COMMON = """
(function_declaration name: (identifier) @name) @function
(generator_function_declaration name: (identifier) @name) @function
(class_declaration name: (_) @name) @class
(method_definition name: (_) @name) @method
(variable_declarator name: (identifier) @name value: [(arrow_function) (function_expression) (class)]) @function
(program (lexical_declaration (variable_declarator name: (identifier) @name)) @variable)
(program (export_statement (lexical_declaration (variable_declarator name: (identifier) @name)) @variable))
(comment) @comment
"""

_JAVASCRIPT = _JAVASCRIPT_COMMON + "(field_definition property: (_) @name) @variable\n"

_TYPESCRIPT = (
    _JAVASCRIPT_COMMON
    + """
(abstract_class_declaration name: (type_identifier) @name) @class
(interface_declaration name: (type_identifier) @name) @interface
(type_alias_declaration name: (type_identifier) @name) @type
(enum_declaration name: (identifier) @name) @enum
(function_signature name: (identifier) @name) @function
(method_signature name: (_) @name) @method
(abstract_method_signature name: (_) @name) @method
(interface_body (property_signature name: (_) @name) @variable)
(public_field_definition name: (_) @name) @variable
(internal_module name: (_) @name) @module
"""
)

_GO = """
(function_declaration name: (identifier) @name) @function
(method_declaration name: (field_identifier) @name) @method
(type_spec name: (type_identifier) @name) @type
(source_file (const_declaration (const_spec name: (identifier) @name) @variable))
(source_file (var_declaration (var_spec name: (identifier) @name) @variable))
(field_declaration name: (field_identifier) @name) @variable
(comment) @comment
"""

_RUST = """
(function_item name: (identifier) @name) @function
(function_signature_item name: (identifier) @name) @function
(struct_item name: (type_identifier) @name) @struct
(enum_item name: (type_identifier) @name) @enum
(union_item name: (type_identifier) @name) @struct
(trait_item name: (type_identifier) @name) @trait
(impl_item type: (_) @name) @impl
(type_item name: (type_identifier) @name) @type
(mod_item name: (identifier) @name) @module
(macro_definition name: (identifier) @name) @macro
(const_item name: (identifier) @name) @variable
(static_item name: (identifier) @name) @variable
(field_declaration name: (field_identifier) @name) @variable
(enum_variant name: (identifier) @name) @variable
(line_comment) @comment
(block_comment) @comment
"""

_JAVA = """
(class_declaration name: (identifier) @name) @class
(interface_declaration name: (identifier) @name) @interface
(enum_declaration name: (identifier) @name) @enum
(record_declaration name: (identifier) @name) @class
(annotation_type_declaration name: (identifier) @name) @interface
(method_declaration name: (identifier) @name) @method
(constructor_declaration name: (identifier) @name) @method
(field_declaration declarator: (variable_declarator name: (identifier) @name)) @variable
(enum_constant name: (identifier) @name) @variable
(line_comment) @comment
(block_comment) @comment
"""

_C_COMMON = """
(function_definition declarator: (function_declarator declarator: (_) @name)) @function
(function_definition declarator: (pointer_declarator declarator: (function_declarator declarator: (_) @name))) @function
(struct_specifier name: (type_identifier) @name body: (_)) @struct
(union_specifier name: (type_identifier) @name body: (_)) @struct
(enum_specifier name: (type_identifier) @name body: (_)) @enum
(type_definition declarator: (type_identifier) @name) @type
(preproc_def name: (identifier) @name) @macro
(preproc_function_def name: (identifier) @name) @macro
(translation_unit (declaration declarator: (function_declarator declarator: (identifier) @name)) @function)
(comment) @comment
"""

_C = (
    _C_COMMON
    + "(translation_unit (declaration declarator: (init_declarator declarator: (identifier) @name)) @variable)\n"
)

_CPP = (
    _C_COMMON
    + """
(function_definition declarator: (reference_declarator (function_declarator declarator: (_) @name))) @function
(class_specifier name: (_) @name body: (_)) @class
(namespace_definition name: (_) @name) @module
(alias_declaration name: (type_identifier) @name) @type
(field_declaration declarator: (function_declarator declarator: (_) @name)) @method
"""
)

_C_SHARP = """
(class_declaration name: (identifier) @name) @class
(interface_declaration name: (identifier) @name) @interface
(struct_declaration name: (identifier) @name) @struct
(record_declaration name: (identifier) @name) @class
(enum_declaration name: (identifier) @name) @enum
(delegate_declaration name: (identifier) @name) @type
(method_declaration name: (identifier) @name) @method
(constructor_declaration name: (identifier) @name) @method
(property_declaration name: (identifier) @name) @variable
(comment) @comment
"""

_RUBY = """
(class name: (_) @name) @class
(module name: (_) @name) @module
(method name: (_) @name) @method
(singleton_method name: (_) @name) @method
(assignment left: (constant) @name) @variable
(comment) @comment
"""

_PHP = """
(class_declaration name: (name) @name) @class
(interface_declaration name: (name) @name) @interface
(trait_declaration name: (name) @name) @trait
(enum_declaration name: (name) @name) @enum
(function_definition name: (name) @name) @function
(method_declaration name: (name) @name) @method
(property_element (variable_name) @name) @variable
(const_element (name) @name) @variable
(comment) @comment
"""

_BASH = """
(function_definition name: (word) @name) @function
(comment) @comment
"""

LANGUAGES = {
    language.name: language
    for language in (
        Language("python", "tree_sitter_python", _PYTHON),
        Language("javascript", "tree_sitter_javascript", _JAVASCRIPT),
        Language("typescript", "tree_sitter_typescript", _TYPESCRIPT, "language_typescript"),
        Language("tsx", "tree_sitter_typescript", _TYPESCRIPT, "language_tsx"),
        Language("go", "tree_sitter_go", _GO),
        Language("rust", "tree_sitter_rust", _RUST),
        Language("java", "tree_sitter_java", _JAVA),
        Language("c", "tree_sitter_c", _C),
        Language("cpp", "tree_sitter_cpp", _CPP),
        Language("c_sharp", "tree_sitter_c_sharp", _C_SHARP),
        Language("ruby", "tree_sitter_ruby", _RUBY),
        Language("php", "tree_sitter_php", _PHP, "language_php"),
        Language("bash", "tree_sitter_bash", _BASH),
    )
}

_SUFFIXES = {
    "python": "py pyi",
    "javascript": "js jsx mjs cjs",
    "typescript": "ts mts cts",
    "tsx": "tsx",
    "go": "go",
    "rust": "rs",
    "java": "java",
    "c": "c h",
    "cpp": "cc cpp cxx hh hpp hxx ino cu cuh",
    "c_sharp": "cs",
    "ruby": "rb rake gemspec",
    "php": "php",
    "bash": "sh bash zsh",
}
_BY_SUFFIX = {suffix: name for name, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}

# Code without a grammar of ours: read by the plain fallback, ranked like any code.
_OTHER_CODE = (
    "pyx pxd vue svelte astro kt kts scala swift m mm lua r jl ex exs erl hs ml mli fs clj cljs dart zig nim pl pm d "
    "f90 f groovy gradle vb pas elm sol v sv vhd asm s sql proto graphql cmake ps1 fish awk tcl el lisp scm rkt"
)
_PROSE = "md markdown rst txt adoc asciidoc tex org mdx pod rdoc textile"
CODE_SUFFIXES = frozenset(_BY_SUFFIX) | frozenset(_OTHER_CODE.split())
PROSE_SUFFIXES = frozenset(_PROSE.split())


def suffix_of(path: str) -> str:
    """The lower-case extension without its dot, "" if there is none, or none of ASCII (a path may hold any byte)."""
    stem, _, suffix = path.rpartition(".")
    return suffix.lower() if stem and stem[-1] != "/" and "/" not in suffix and suffix.isascii() else ""


def language_of(path: str) -> str:
    """The name of the grammar that reads `path`, or ""."""
    return _BY_SUFFIX.get(suffix_of(path), "")


def is_code(path: str) -> bool:
    return suffix_of(path) in CODE_SUFFIXES


def is_prose(path: str) -> bool:
    return suffix_of(path) in PROSE_SUFFIXES
