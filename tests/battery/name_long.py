# A name of 120 characters.
#! function: the_name_of_this_function_goes_on_and_on_until_it_has_reached_one_hundred_and_twenty_characters_which_is_quite_long_yes_it_is


def the_name_of_this_function_goes_on_and_on_until_it_has_reached_one_hundred_and_twenty_characters_which_is_quite_long_yes_it_is(kept):
    for _ in range(150):
        kept.append(bytearray(1 << 20))  #! here


the_name_of_this_function_goes_on_and_on_until_it_has_reached_one_hundred_and_twenty_characters_which_is_quite_long_yes_it_is([])
