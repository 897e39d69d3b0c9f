"""A wheel carries the built exercises; an editable install uses those of the checkout."""

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CustomBuildHook(BuildHookInterface):
    def initialize(self, version, build_data):
        if version == "standard":
            build_data["force_include"]["exercises"] = "course_lib/_exercises"
